"""Rules pinned to other people's definitions, verdict for verdict; `NAME@datatrove-0.10` in a recipe."""
