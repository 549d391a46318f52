"""One `RunRecord` rendered: PROGRESS.md and JSON. Pure but for `files`, `rights` and `writer`."""
