"""UPS-RS (PS3.18 11): the work that Samsyn schedules, which is sending to archives, asked for and followed."""
