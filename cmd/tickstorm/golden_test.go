package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// goldens are commands whose outputs are in testdata/golden, by the name of the file.
var goldens = map[string][]string{
	"sub-json":          {"sub", "--demo", "-n", "5", "T.AAPL", "Q.AAPL"},
	"sub-json-received": {"sub", "--demo", "-n", "2", "--ts", "received", "T.AAPL"},
	"sub-raw":           {"sub", "--demo", "-f", "raw", "-n", "6", "T.AAPL,Q.MSFT"},
	"sub-raw-received":  {"sub", "--demo", "-f", "raw", "-n", "4", "--ts", "received", "T.AAPL"},
	"sub-csv":           {"sub", "--demo", "-f", "csv", "-n", "12", "T.AAPL", "Q.AAPL"},
	"sub-csv-trades":    {"sub", "--demo", "-f", "csv", "-n", "3", "T.AAPL"},
	"sub-csv-columns":   {"sub", "--demo", "-f", "csv", "--columns", "symbol,price,conditions,bid_price", "-n", "12", "T.AAPL", "Q.AAPL"},
	"sub-csv-books":     {"sub", "--demo", "-f", "csv", "-n", "1", "-m", "crypto", "XL2.BTC-USD"},
	"sub-table":         {"sub", "--demo", "-f", "table", "-n", "12", "T.*", "Q.*"},
	"sub-table-tz":      {"sub", "--demo", "-f", "table", "--tz", "UTC", "-n", "2", "T.*"},
	"sub-table-luld":    {"sub", "--demo", "-f", "table", "-n", "4", "LULD.*", "NOI.*", "FMV.*"},
	"sub-table-crypto":  {"sub", "--demo", "-f", "table", "-n", "12", "-m", "crypto", "XT.*", "XQ.*", "XL2.*"},
	"sub-table-forex":   {"sub", "--demo", "-f", "table", "-n", "4", "-m", "forex", "C.*"},
	"sub-table-indices": {"sub", "--demo", "-f", "table", "-n", "4", "-m", "indices", "V.*"},
	"sub-table-options": {"sub", "--demo", "-f", "table", "-n", "4", "-m", "options", "T.*"},
	"sub-table-futures": {"sub", "--demo", "-f", "table", "-n", "6", "-m", "futures", "T.*", "Q.*"},
	"sub-template":      {"sub", "--demo", "-f", `{time} {{{sym}}} {ev}\t{price}{bid} {size} {conditions} {q} {trade_id} {kind}`, "-n", "12", "T.AAPL", "Q.AAPL"},
	"sub-template-raw":  {"sub", "--demo", "-f", "{market}: {raw}", "-n", "2", "T.AAPL"},
	"sub-where":         {"sub", "--demo", "--demo-rate", "2000", "-n", "4", "--where", "sym=AAPL,NVDA", "T.*"},
	"sub-where-numbers": {"sub", "--demo", "--demo-rate", "2000", "-n", "4", "--where", "price>100 and size>=200", "T.*"},
	"sub-where-table":   {"sub", "--demo", "--demo-rate", "2000", "-n", "4", "-f", "table", "--where", "sym~A*", "T.*"},
	"sub-seed":          {"sub", "--demo", "--demo-seed", "2", "-n", "2", "T.AAPL"},
	"info":              {"info", "--demo"},
	"info-json":         {"info", "--demo", "-s", "-f", "json"},
	"verify":            {"verify", "--demo"},
	"verify-json":       {"verify", "--demo", "-f", "json"},
	"recover":           {"recover", "--demo"},
	"cut":               {"cut", "--demo", "--from", "-2s"},
	"merge":             {"merge", "--demo"},
	"convert":           {"convert", "--demo", "--from", "-20ms"},
	"replay":            {"replay", "--demo", "--speed", "max", "--from", "-20ms", "-f", "table"},
	"replay-csv":        {"replay", "--demo", "--speed", "max", "--channel", "A", "-n", "5", "-f", "csv"},
	"replay-json":       {"replay", "--demo", "--speed", "max", "--symbol", "AAPL", "-n", "3", "--ts", "received"},
	"consume-nats":      {"consume", "nats", "--demo", "-q", "-n", "5", "T.AAPL"},
	"consume-nats-csv":  {"consume", "nats", "--demo", "-q", "-n", "3", "-m", "crypto", "-f", "csv", "XT.BTC-USD"},
	"schema":            {"schema"},
	"schema-json":       {"schema", "-f", "json"},
	"schema-postgres":   {"schema", "postgres", "--schema", "market", "--prefix", "us_"},
	"completion-bash":   {"completion", "bash"},
	"completion-zsh":    {"completion", "zsh"},
	"completion-fish":   {"completion", "fish"},
	"help":              {"--help"},
}

// TestGolden: what commands print is what is in their files.
func TestGolden(t *testing.T) {
	t.Run("all", func(t *testing.T) { goldenCommands(t) })
	files, err := os.ReadDir("testdata/golden")
	require.NoError(t, err)
	for _, f := range files {
		_, ok := goldens[f.Name()]
		require.True(t, ok || slices.Contains(otherGoldens, f.Name()), "%s is nobody's", f.Name())
	}
}

// goldenCommands runs the commands beside each other: most wait for the simulator.
func goldenCommands(t *testing.T) {
	for name, args := range goldens {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			code := s.run(t, args...)
			golden(t, name, fmt.Sprintf("%s\n%s-- stderr, code %d --\n%s", strings.Join(args, " "), settled(s.out.String()), code, settled(s.err.String())))
		})
	}
}

// otherGoldens are files of other tests.
var otherGoldens = []string{"probe"}
