"""The error table: file, laws, figures with intervals."""
