package intern

// NewUnseeded returns a table whose hashes can be foreseen.
func NewUnseeded(max uint32) *Table {
	t := New(max)
	t.hasher = Hasher{}
	return t
}
