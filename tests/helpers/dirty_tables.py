"""What must come of the broken tables in `dirty/variants` of the folder of real tables."""

THREE = ["CCO", "CCN", "c1ccccc1"]
GOOD_VARIANTS = {  # file: structures, identifiers, part of the note or ""
    "all_invalid.csv": (["C1CC", "Xx"], None, ""),
    "bom.csv": (THREE, ["A", "B", "C"], ""),
    "crlf.csv": (THREE, ["A", "B", "C"], ""),
    "decimal_comma.csv": (["CCO", "CCN"], ["A", "B"], ""),
    "duplicated_task_column.csv": (["CCO", "CCN"], None, ""),
    "gzip_without_suffix.csv": (THREE, ["A", "B", "C"], ""),
    "header_only.csv": ([], [], ""),
    "latin1.csv": (THREE, ["A", "béta", "C"], "record 2: bytes that are not UTF-8 were read as Latin-1"),
    "no_labels.csv": (["CCO", "CCN"], None, ""),
    "no_task_column.csv": (["CCO"], ["A"], ""),
    "not_gzip.csv.gz": (THREE, ["A", "B", "C"], ""),
    "nul_byte.csv": (["CCO", "CC\ufffdN", "c1ccccc1"], ["A", "B", "C"], "record 2: NUL bytes"),
    "old_mac_line_ends.csv": (THREE, ["A", "B", "C"], ""),
    "one_class.csv": (["CCO", "CCN", "CCC"], None, ""),
    "one_row.csv": (["CCO"], None, ""),
    "regression_values.csv": (["CCO", "CCN", "CCC"], None, ""),
    "semicolons.csv": (THREE, ["A", "B", "C"], ""),
    "tabs.tsv": (THREE, ["A", "B", "C"], ""),
    "text_labels.csv": (["CCO", "CCN", "CCC"], None, ""),
    "unnamed_column.csv": (["CCO", "CCN"], None, ""),
    "utf16.csv": (THREE, ["A", "B", "C"], ""),
    "very_wide.csv": (["CCO"], None, ""),
}
BAD_VARIANTS = {  # file: what the error says
    "empty.csv": r"empty.csv is empty \(0 bytes\)",
    "no_header.csv": "no column of SMILES; the first line was read as the columns 'A', 'CCO', '1', '0'",
    "no_smiles_column.csv": "columns 'compound_id', 'structure_x', 'ASSAY-1', 'ASSAY-2'. Name the column",
    "png_named_csv.csv": "is a PNG picture",
    "truncated.csv.gz": "compressed data is broken or cut off",
    "two_smiles_columns.csv": "'smiles', 'SMILES' could all hold the structures. Say which.*data.smiles",
    "unbalanced_quote.csv": r"record 1 \(line 2\): a field begins with a quotation mark",
    "zero_bytes.sdf": r"zero_bytes.sdf is empty \(0 bytes\)",
    "zero_bytes.smi": r"zero_bytes.smi is empty \(0 bytes\)",
}
