package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/record"
	"github.com/tickstorm/tickstorm/sink/postgres"
)

type schemaCmd struct {
	What   string `arg:"" optional:"" enum:"columns,postgres" default:"columns" help:"columns: of all kinds of events, as convert and the engines have them. postgres: the statements that make the tables."`
	Format string `short:"f" enum:"text,json" default:"text" placeholder:"FORMAT" help:"Of columns: text or json."`
	tablesFlags
}

// Help implements [kong.HelpProvider].
func (*schemaCmd) Help() string {
	return examples(
		"columns, types, units, and the vendor's keys", "tickstorm schema",
		"for programs", "tickstorm schema -f json",
		"the tables that tickstorm sink postgres makes", "tickstorm schema postgres --layout plain",
	)
}

// Run runs the verb.
func (c *schemaCmd) Run(a *app) error {
	cfg, err := c.config(a)
	if err != nil {
		return err
	}
	var text string
	switch {
	case c.What == "postgres" && c.Format != "text":
		return usagef("the statements are text")
	case c.What == "postgres":
		text, err = postgres.DDL(cfg)
	case c.Format == "json":
		text, err = columnsJSON()
	default:
		text, err = columnsText()
	}
	if err != nil {
		return err
	}
	_, err = a.stdout.Write([]byte(text))
	return outputError(err)
}

// columnsText lists columns for people.
func columnsText() (string, error) {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
	for i, s := range record.Schemas() {
		if i > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "%s: %s\n", s.Name, s.Doc)
		for _, c := range s.Columns {
			null := "never empty"
			if c.Nullable {
				null = ""
			}
			fmt.Fprintf(w, "  %s\t%s\t%s\t%s\t%s\n", c.Name, c.Type, null, strings.Join(c.Keys, ","), c.Unit)
		}
		if err := w.Flush(); err != nil { // each has widths of its own
			return "", err
		}
	}
	return trimLines(b.String()), nil
}

// trimLines removes spaces at the ends of lines.
func trimLines(text string) string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n")
}

// schemaJSON and columnJSON are what programs get.
type schemaJSON struct {
	Name    string       `json:"name"`
	Kind    string       `json:"kind,omitempty"`
	Doc     string       `json:"doc"`
	Columns []columnJSON `json:"columns"`
}

type columnJSON struct {
	Name     string            `json:"name"`
	Type     record.ColumnType `json:"type"`
	Nullable bool              `json:"nullable"`
	Keys     []string          `json:"keys,omitempty"`
	Unit     string            `json:"unit,omitempty"`
	Doc      string            `json:"doc"`
}

func columnsJSON() (string, error) {
	var all []schemaJSON
	for _, s := range record.Schemas() {
		j := schemaJSON{Name: s.Name, Doc: s.Doc}
		if s.Kind != tickstorm.KindUnknown {
			j.Kind = s.Kind.String()
		}
		for _, c := range s.Columns {
			j.Columns = append(j.Columns, columnJSON{c.Name, c.Type, c.Nullable, c.Keys, c.Unit, c.Doc})
		}
		all = append(all, j)
	}
	text, err := json.MarshalIndent(all, "", "\t")
	return string(text) + "\n", err
}
