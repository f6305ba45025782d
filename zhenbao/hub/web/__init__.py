"""The hub's web page: worklist, cases, reports. Plain HTML with htmx; everything it needs is served from here."""
