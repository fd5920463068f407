package record_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/record"
)

// TestAppendCell: a row of a program's own has the cells of CSV.
func TestAppendCell(t *testing.T) {
	h := &cells{}
	raw := `[{"ev":"T","sym":"A\"B","p":100.25,"s":7,"c":[12,37],"t":1764081000123,"ds":"0.740474"}]`
	require.NoError(t, tickstorm.NewParser(tickstorm.Stocks).Parse([]byte(raw), h))
	require.Equal(t, `"A""B",1764081000123000000,100.25,7,0.740474,,,,"[12,37]",`, h.row)
	require.Equal(t, `"a,b"`, string(record.AppendText(nil, "a,b")))
	require.Equal(t, "T", string(record.AppendText(nil, []byte("T"))))
}

type cells struct {
	tickstorm.NopHandler
	row string
}

func (c *cells) OnTrade(e *tickstorm.Trade) {
	var row []byte
	schema := record.SchemaOf(tickstorm.KindTrade)
	for i := range schema.Columns {
		column := &schema.Columns[i]
		if len(column.Keys) == 0 || column.Name == "channel" {
			continue // the recording's own
		}
		row = append(record.AppendCell(row, column.Value(e)), ',')
		if column.Name == "conditions" {
			break
		}
	}
	c.row = string(row)
}
