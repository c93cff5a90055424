"""Memory for data sets that are arriving, shared by all associations."""


class Budget:
    """Counts bytes up to a bound; see wire.assembly.MemoryBudget."""

    def __init__(self, size_bytes: int) -> None:
        self._left = size_bytes

    @property
    def left_bytes(self) -> int:
        """What is free."""
        return self._left

    def reserve(self, size_bytes: int) -> bool:
        """Whether this much more may be held; counted when True."""
        if size_bytes > self._left:
            return False
        self._left -= size_bytes
        return True

    def give_back(self, size_bytes: int) -> None:
        """The memory is free again."""
        self._left += size_bytes
