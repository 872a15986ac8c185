"""Files to assay tables, molecules read, splits."""
