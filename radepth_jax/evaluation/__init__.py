"""Judge depth and motion by the field's protocols: metrics, tables, intervals and pictures."""
