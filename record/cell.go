package record

// AppendCell appends a value of [Column].Value to a row of CSV, as [CSV] writes it; nil is an empty
// cell. It allocates nothing but what dst has no room for. Any other value than a column's is a panic.
func AppendCell(dst []byte, value any) []byte {
	if value == nil {
		return dst
	}
	return appendCell(dst, value)
}

// AppendText appends a text to a row of CSV, in quotes where it needs them.
func AppendText[T string | []byte](dst []byte, text T) []byte { return appendTextCell(dst, text) }
