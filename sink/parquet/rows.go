package parquet

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"

	"github.com/parquet-go/parquet-go"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/record"
)

// rows is a row group in memory, column by column.
type rows struct {
	table   *table
	columns []column
	n       int
	varied  int // bytes of texts and lists
	counted int // of them, those that are known to who looks after memory
}

// column is one column of some rows. Many columns have no value in any row, or the same in all: they cost
// next to nothing.
type column struct {
	nullable bool
	lead     int    // rows without a value before the first that has one: what follows is of those behind
	same     []byte // the text of all rows, if it is not nil
	null     []bool
	ints     []int64   // integers, times, booleans, and what lists of integers have
	floats   []float64 // and prices and sizes in turn
	bytes    []byte    // texts, and decimals of decimalBytes each
	texts    []uint32  // where each text of a list ends in bytes
	ends     []uint32  // where each row ends: in bytes of a text, else in what a list has
}

func newRows(t *table) *rows {
	r := &rows{table: t, columns: make([]column, len(t.Columns))}
	for i := range r.columns {
		r.columns[i].nullable = t.Columns[i].Nullable
	}
	return r
}

func (r *rows) reset() {
	for i := range r.columns {
		c := &r.columns[i]
		c.lead, c.same = 0, nil
		c.null, c.ints, c.floats, c.bytes, c.texts, c.ends = c.null[:0], c.ints[:0], c.floats[:0], c.bytes[:0], c.texts[:0], c.ends[:0]
	}
	r.n, r.varied, r.counted = 0, 0, 0
}

// size is how many bytes it has.
func (r *rows) size() int { return r.n*r.table.width + r.varied }

// end ends a row, whose columns were all added.
func (r *rows) end() { r.n++ }

func (c *column) some() {
	if c.nullable {
		c.null = append(c.null, false)
	}
}

// addInt adds an integer, a time or a boolean.
func (r *rows) addInt(at int, v int64) {
	c := &r.columns[at]
	c.some()
	c.ints = append(c.ints, v)
}

// addText adds a text.
func addText[T string | []byte](r *rows, at int, text T) {
	c := &r.columns[at]
	c.some()
	c.bytes = append(c.bytes, text...)
	c.ends = append(c.ends, uint32(len(c.bytes)))
	r.varied += len(text)
}

// same has all rows have a text.
func (r *rows) same(at int, text string) {
	if c := &r.columns[at]; c.same == nil {
		c.same = []byte(text)
	}
}

// addTexts adds a list of texts.
func (r *rows) addTexts(at int, texts []string) {
	c := &r.columns[at]
	c.some()
	for _, text := range texts {
		c.bytes = append(c.bytes, text...)
		c.texts = append(c.texts, uint32(len(c.bytes)))
		r.varied += len(text) + 4
	}
	c.ends = append(c.ends, uint32(len(c.texts)))
}

// addNull adds no value.
func (r *rows) addNull(at int) {
	c := &r.columns[at]
	if len(c.null) == 0 {
		c.lead++
		return
	}
	c.null = append(c.null, true)
	switch r.table.Columns[at].Type {
	case record.ColumnInteger, record.ColumnTime, record.ColumnBoolean:
		c.ints = append(c.ints, 0)
	case record.ColumnFloat:
		c.floats = append(c.floats, 0)
	case record.ColumnDecimal:
		c.bytes = append(c.bytes, make([]byte, decimalBytes)...)
	case record.ColumnText:
		c.ends = append(c.ends, uint32(len(c.bytes)))
	case record.ColumnIntegers:
		c.ends = append(c.ends, uint32(len(c.ints)))
	case record.ColumnLevels:
		c.ends = append(c.ends, uint32(len(c.floats)))
	case record.ColumnTexts:
		c.ends = append(c.ends, uint32(len(c.texts)))
	}
}

// addField adds what [record.Column].Value returns. It reports false, and adds no value, if that does not
// fit.
func (r *rows) addField(at int, field any) bool {
	c := &r.columns[at]
	switch p := field.(type) {
	case nil:
		r.addNull(at)
	case *float64:
		c.some()
		c.floats = append(c.floats, *p)
	case *int64:
		r.addInt(at, *p)
	case *int32:
		r.addInt(at, int64(*p))
	case *tickstorm.Timestamp:
		r.addInt(at, p.Nanoseconds())
	case *bool:
		v := int64(0)
		if *p {
			v = 1
		}
		r.addInt(at, v)
	case *string:
		addText(r, at, *p)
	case *[]byte:
		addText(r, at, *p)
	case *tickstorm.Auction:
		addText(r, at, p.String())
	case *tickstorm.Decimal:
		var ok bool
		if c.bytes, ok = appendDecimal(c.bytes, p.Text); !ok {
			r.addNull(at)
			return false
		}
		c.some()
	case *[]int32:
		c.some()
		for _, v := range *p {
			c.ints = append(c.ints, int64(v))
		}
		c.ends = append(c.ends, uint32(len(c.ints)))
		r.varied += 8 * len(*p)
	case *[]tickstorm.Level:
		c.some()
		for _, l := range *p {
			c.floats = append(c.floats, l.Price, l.Size)
		}
		c.ends = append(c.ends, uint32(len(c.floats)))
		r.varied += 16 * len(*p)
	default:
		panic(fmt.Sprintf("parquet: no column is of a field of type %T", field)) // record's table has refused it
	}
	return true
}

// at returns where what a row has stands; ok is false if it has no value.
func (c *column) at(row uint32) (i int, ok bool) {
	i = int(row) - c.lead
	return i, i >= 0 && !(c.nullable && c.null[i])
}

// part returns what stands somewhere, between where what is before it ends and where it ends itself.
func (c *column) part(i int) (from, to uint32) {
	if i > 0 {
		from = c.ends[i-1]
	}
	return from, c.ends[i]
}

func (c *column) text(i int) []byte {
	from, to := c.part(i)
	return c.bytes[from:to:to]
}

// sorted returns the numbers of the rows by symbol and time, those without a symbol last and equal ones
// as they are; nil if there is nothing to sort by.
func (r *rows) sorted(order []uint32) []uint32 {
	if r.table.symbol < 0 || r.table.when < 0 {
		return nil
	}
	order = order[:0]
	for i := range r.n {
		order = append(order, uint32(i))
	}
	symbol, when := &r.columns[r.table.symbol], &r.columns[r.table.when]
	slices.SortStableFunc(order, func(a, b uint32) int {
		x, xok := symbol.at(a)
		y, yok := symbol.at(b)
		if by := nullsLast(xok, yok); by != 0 {
			return by
		}
		if xok {
			if by := bytes.Compare(symbol.text(x), symbol.text(y)); by != 0 {
				return by
			}
		}
		x, xok = when.at(a)
		y, yok = when.at(b)
		if by := nullsLast(xok, yok); by != 0 || !xok {
			return by
		}
		return cmp.Compare(when.ints[x], when.ints[y])
	})
	return order
}

// nullsLast compares by whether there are values.
func nullsLast(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

// chunkRows is how many rows are turned into values at a time.
const chunkRows = 1024

// scratch is what writing a row group needs beside it.
type scratch struct {
	values []parquet.Value
	nulls  [chunkRows]parquet.Value
	order  []uint32
}

// write writes the rows as a row group.
func (r *rows) write(w *parquet.GenericWriter[any], sort bool, s *scratch) error {
	var order []uint32
	if sort {
		s.order = r.sorted(s.order)
		if r.table.symbol >= 0 && r.table.when >= 0 {
			order = s.order
		}
	}
	group := w.BeginRowGroup()
	leaf := 0
	for i := range r.columns {
		kind := r.table.Columns[i].Type
		leaves := 1
		if kind == record.ColumnLevels {
			leaves = 2
		}
		for k := range leaves {
			if err := r.leaf(group.ColumnWriters()[leaf], i, k, order, s); err != nil {
				return err
			}
			leaf++
		}
	}
	_, err := group.Commit()
	return err
}

// leaf writes a column, or a part of what its lists have.
func (r *rows) leaf(w *parquet.ColumnWriter, at, part int, order []uint32, s *scratch) error {
	c, kind := &r.columns[at], r.table.Columns[at].Type
	for from := 0; from < r.n; from += chunkRows {
		n := min(chunkRows, r.n-from)
		values := s.values[:0]
		switch {
		case c.lead == r.n:
			values = s.nulls[:n]
		case c.same != nil:
			v := parquet.ByteArrayValue(c.same)
			if c.nullable {
				v.SetDefinitionLevel(1)
			}
			for range n {
				values = append(values, v)
			}
		default:
			for i := from; i < from+n; i++ {
				row := uint32(i)
				if order != nil {
					row = order[i]
				}
				if at, ok := c.at(row); ok {
					values = c.append(values, kind, at, part)
				} else {
					values = append(values, parquet.Value{})
				}
			}
		}
		if _, err := w.WriteRowValues(values); err != nil {
			return err
		}
		if c.lead != r.n {
			s.values = values
		}
	}
	return nil
}

// append appends the values of a row that has some.
func (c *column) append(values []parquet.Value, kind record.ColumnType, i, part int) []parquet.Value {
	var v parquet.Value
	switch kind {
	case record.ColumnInteger, record.ColumnTime:
		v = parquet.Int64Value(c.ints[i])
	case record.ColumnFloat:
		v = parquet.DoubleValue(c.floats[i])
	case record.ColumnBoolean:
		v = parquet.BooleanValue(c.ints[i] != 0)
	case record.ColumnDecimal:
		v = parquet.FixedLenByteArrayValue(c.bytes[i*decimalBytes : (i+1)*decimalBytes])
	case record.ColumnText:
		v = parquet.ByteArrayValue(c.text(i))
	default:
		return c.appendList(values, kind, i, part)
	}
	if c.nullable {
		v.SetDefinitionLevel(1)
	}
	return append(values, v)
}

// The levels of lists, which are all nullable: of one that has nothing, and of what one has.
const (
	emptyLevel   = 1
	elementLevel = 2
)

func (c *column) appendList(values []parquet.Value, kind record.ColumnType, i, part int) []parquet.Value {
	from, to := c.part(i)
	if from == to {
		var v parquet.Value
		v.SetDefinitionLevel(emptyLevel)
		return append(values, v)
	}
	step := uint32(1)
	if kind == record.ColumnLevels {
		step = 2
	}
	for k := from; k < to; k += step {
		var v parquet.Value
		switch kind {
		case record.ColumnIntegers:
			v = parquet.Int32Value(int32(c.ints[k]))
		case record.ColumnLevels:
			v = parquet.DoubleValue(c.floats[k+uint32(part)])
		case record.ColumnTexts:
			begin := uint32(0)
			if k > 0 {
				begin = c.texts[k-1]
			}
			v = parquet.ByteArrayValue(c.bytes[begin:c.texts[k]])
		}
		if k > from {
			v.SetRepetitionLevel(1)
		}
		v.SetDefinitionLevel(elementLevel)
		values = append(values, v)
	}
	return values
}
