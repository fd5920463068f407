package parquet

// File is what a part is written to.
type File = file

// Creating has the files of parts made by a function, which may wrap those of Create.
func (c *Config) Creating(create func(path string) (File, error)) { c.create = create }

// Groups has a part have so many row groups at most.
func (c *Config) Groups(n int) { c.groups = n }

// Create makes a file.
var Create = create

// AppendDecimal is appendDecimal.
var AppendDecimal = appendDecimal

// Escape is escape.
var Escape = escape
