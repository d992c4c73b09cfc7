"""The build step: makes the page that the service serves. Needs no network."""

import platform
from pathlib import Path

PAGE = """\
{greeting}

instance  {instance}
process   {process}
built by  Python %s
"""

Path("page.txt").write_text(PAGE % platform.python_version(), encoding="utf-8")
print("page.txt is made")
