"""Lines of a log that people and programs read alike."""

import json


def log_line(event: str, **values: object) -> str:
    """`event key=value key="two words"`; numbers with four digits."""
    return " ".join((event, *(f"{key}={_text(value)}" for key, value in values.items())))


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    text = str(value)
    return text if text and not set(text) & set(' ="') else json.dumps(text, ensure_ascii=False)
