"""Who a patient is: the numbers people are known by, and which numbers belong to one person."""
