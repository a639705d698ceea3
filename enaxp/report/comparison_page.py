def render_comparison(compared: object) -> str:
    return ""
