"""Bars, columns and great digits of block characters. Pure."""

ACROSS = " ▏▎▍▌▋▊▉"
UP = " ▁▂▃▄▅▆▇█"
EIGHTHS = 8
GREAT = {  # three lines each
    "0": ("█▀█", "█ █", "▀▀▀"),
    "1": ("▀█ ", " █ ", "▀▀▀"),
    "2": ("▀▀█", "█▀▀", "▀▀▀"),
    "3": ("▀▀█", " ▀█", "▀▀▀"),
    "4": ("█ █", "▀▀█", "  ▀"),
    "5": ("█▀▀", "▀▀█", "▀▀▀"),
    "6": ("█▀▀", "█▀█", "▀▀▀"),
    "7": ("▀▀█", "  █", "  ▀"),
    "8": ("█▀█", "█▀█", "▀▀▀"),
    "9": ("█▀█", "▀▀█", "▀▀▀"),
    ".": (" ", " ", "▀"),
    ",": (" ", " ", "▞"),
    "k": ("█ ▄", "█▀▄", "▀ ▀"),
    "M": ("█▄█", "█ █", "▀ ▀"),
    "G": ("█▀▀", "█ █", "▀▀▀"),
    "T": ("▀█▀", " █ ", " ▀ "),
}


def bar(share: float, width: int) -> str:
    """A bar of so many cells at most, to an eighth of one; a share above 0 is never without one."""
    whole, rest = divmod(_eighths(share, width), EIGHTHS)
    return "█" * whole + (ACROSS[rest] if rest else "")


def column(share: float, height: int) -> list[int]:
    """How many eighths of each cell of a column are filled, from the top."""
    filled = _eighths(share, height)
    return [min(EIGHTHS, max(0, filled - EIGHTHS * below)) for below in reversed(range(height))]


def _eighths(share: float, cells: int) -> int:
    filled = round(min(1.0, max(0.0, share)) * cells * EIGHTHS)
    return max(1, filled) if share > 0 else 0


def great(text: str) -> list[str]:
    """Three lines of block characters for a number such as 1,234 or 12.3k."""
    digits = [GREAT[char] for char in text]
    return [" ".join(digit[line] for digit in digits) for line in range(3)]
