"""Binary networks on columns: noise from a table, layers, models, data, training, evaluation over virtual chips."""
