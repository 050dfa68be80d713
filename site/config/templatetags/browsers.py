"""What people call a browser, out of what it calls itself."""

from django import template

register = template.Library()

# The first that fits counts: nearly every browser names those that it wants to be taken for.
BROWSERS = {
    "Edg": "Edge",
    "OPR/": "Opera",
    "SamsungBrowser": "Samsung Internet",
    "Firefox/": "Firefox",
    "FxiOS": "Firefox",
    "CriOS": "Chrome",
    "Chrome/": "Chrome",
    "Safari/": "Safari",
}
SYSTEMS = {
    "iPhone": "an iPhone",
    "iPad": "an iPad",
    "Android": "Android",
    "CrOS": "ChromeOS",
    "Windows": "Windows",
    "Macintosh": "a Mac",
    "Linux": "Linux",
}


@register.filter
def browser(agent: str) -> str:
    """
    >>> browser("Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0")
    'Firefox on Linux'
    """
    name = next((said for sign, said in BROWSERS.items() if sign in agent), "")
    system = next((said for sign, said in SYSTEMS.items() if sign in agent), "")
    if not name:
        return (
            f"A program that calls itself {agent[:40]}" if agent.strip() else "An unnamed program"
        )
    return f"{name} on {system}" if system else name
