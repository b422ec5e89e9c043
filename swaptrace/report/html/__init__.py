"""Reports as one HTML file: views are values that templates show, `rendering` fills them in."""

from swaptrace.report.html.documents import page as page
