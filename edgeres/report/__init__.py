"""From results to something a person reads: a self-contained HTML page, or Markdown for a pull request."""
