package record

import (
	"flag"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
)

var update = flag.Bool("update", false, "write COLUMNS.md and testdata/csv anew")

var kinds = []tickstorm.Kind{
	tickstorm.KindTrade, tickstorm.KindQuote, tickstorm.KindAggregate, tickstorm.KindBook,
	tickstorm.KindLULD, tickstorm.KindImbalance, tickstorm.KindValue, tickstorm.KindStatus,
}

// TestSchemas: every field of every kind has one column, and every bit of Has.
func TestSchemas(t *testing.T) {
	require.Len(t, kinds, tickstorm.Kinds-1)
	for _, k := range kinds {
		s := SchemaOf(k)
		require.Equal(t, k, s.Kind)
		e := s.NewEvent()
		require.Equal(t, k, e.Kind())
		fields := map[any]string{} // by pointer
		v := reflect.ValueOf(e).Elem()
		for i := range v.NumField() {
			if name := v.Type().Field(i).Name; name != "Header" {
				fields[v.Field(i).Addr().Interface()] = name
			}
		}
		if k != tickstorm.KindStatus {
			fields[&e.Head().Symbol] = "Symbol"
		}
		names, bits := map[string]bool{}, tickstorm.Fields(0)
		for i := range s.Columns {
			c := &s.Columns[i]
			require.False(t, names[c.Name], "%s.%s comes twice", s.Name, c.Name)
			require.Regexp(t, `^[a-z][a-z_]*$`, c.Name)
			require.NotEmpty(t, c.Doc, c.Name)
			require.Equal(t, strings.HasSuffix(c.Name, "_time"), c.Type == ColumnTime, c.Name)
			names[c.Name] = true
			require.Nil(t, c.Value(e), "of an event that has none")
			if c.value == nil {
				continue
			}
			require.Zero(t, bits&c.field, c.Name)
			bits |= c.field
			e.Head().Has = c.field
			p := c.Value(e)
			require.NotEmpty(t, fields[p], "%s.%s", s.Name, c.Name)
			delete(fields, p)
			e.Head().Has = 0
			require.True(t, c.Nullable, c.Name)
			require.NotEmpty(t, c.Keys, c.Name)
		}
		require.Empty(t, fields, "of a %v without a column", k)
		require.Zero(t, bits&(bits+1), "%v: a bit is missing", k)
	}
	require.Equal(t, []string{"sym", "pair"}, SchemaOf(tickstorm.KindTrade).Columns[len(shared())].Keys)
	require.Equal(t, "unknown", SchemaOf(tickstorm.KindUnknown).Name)
	all := Schemas()
	require.Len(t, all, tickstorm.Kinds+1)
	require.Equal(t, "gaps", all[len(all)-1].Name)
}

// TestColumnsDocument: COLUMNS.md says what the schemas say.
func TestColumnsDocument(t *testing.T) {
	var b strings.Builder
	b.WriteString("# Columns\n\n" +
		"What stands in the files that `record.CSV` writes, and in whatever else is made of `record.Schemas`. This file is made of\n" +
		"the same table: `go test -run Document -update .`\n\n" +
		"| type | what stands there |\n|---|---|\n" +
		"| text | as the vendor wrote it |\n" +
		"| integer, float | 64 bits; the shortest digits that read as the same float |\n" +
		"| decimal | a decimal number, digit by digit as the vendor wrote it |\n" +
		"| boolean | `true` or `false` |\n" +
		"| time | nanoseconds since 1970, UTC; what the vendor has in milliseconds ends in six zeros |\n" +
		"| integers, levels, texts | lists as JSON has them: `[12,37]`, `[[101.5,2],[101.4,7]]` with price and size, `[\"T.*\"]` |\n\n" +
		"A column with \"yes\" under null is empty where the vendor has sent nothing, or null, or what does not fit; an empty text is\n" +
		"`\"\"`. Key is the vendor's.\n")
	for _, s := range Schemas() {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n| column | type | null | key | unit | |\n|---|---|---|---|---|---|\n", s.Name, s.Doc)
		for _, c := range s.Columns {
			null := ""
			if c.Nullable {
				null = "yes"
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", c.Name, c.Type, null, strings.Join(c.Keys, ", "), c.Unit, c.Doc)
		}
	}
	golden(t, "COLUMNS.md", b.String())
}

// golden compares with a file, or writes it.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}
