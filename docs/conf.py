"""The site: `make docs` builds it from docs/ and from the pages that lie beside samples, benchmarks and code. ADR 23 says why Sphinx.

The repository's root is Sphinx's source folder, so a link between two files means the same here and on GitHub.
"""

project = "Scoring Operator"
author = "The Scoring Operator authors"
project_copyright = "the Scoring Operator authors, Apache-2.0"

extensions = ["myst_parser"]
root_doc = "docs/index"
include_patterns = [
    "docs/**",
    "samples/**/README.md",
    "benchmarks/README.md",
    "benchmarks/*/results/*.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
]
exclude_patterns = [".*", "**/.*", "build", "**/build", "**/node_modules", "**/__pycache__"]
templates_path = ["templates"]

# Anchors of headings, as GitHub makes them.
myst_heading_anchors = 4
# An abbreviated example (`…` in JSON) is no valid one to the highlighter.
suppress_warnings = ["misc.highlighting_failure"]
nitpicky = True

html_theme = "furo"
html_title = "Scoring Operator"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_additional_pages = {"index": "to-first-page.html"}
html_copy_source = False
html_show_sphinx = False
