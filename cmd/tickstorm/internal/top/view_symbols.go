package top

import (
	"fmt"
	"strings"

	"charm.land/lipgloss/v2"
)

// symbolsAndSilent draws the table of symbols, and below it a line of those that are silent.
func (m *Model) symbolsAndSilent(cells, lines int) []string {
	if lines < 4 || len(m.silent) == 0 {
		return m.symbolTable(cells, lines)
	}
	var b strings.Builder
	b.WriteString(styles.head.Render("SILENT"))
	for i := range m.silent {
		s := &m.silent[i]
		next := fmt.Sprintf("  %s %s", clean(s.Symbol), styles.dim.Render(seconds(s.Silent)))
		if width(b.String())+width(next) > cells {
			break
		}
		b.WriteString(next)
	}
	return append(m.symbolTable(cells, lines-1), b.String())
}

// silentTable draws the symbols that nothing came of for longest.
func (m *Model) silentTable(cells, lines int) []string {
	if lines < 2 || len(m.silent) == 0 {
		return nil
	}
	columns := []column{{"SILENT LONGEST", 0, false}, {"SILENT", 7, true}, {"PRICE", 11, true}, {"TOTAL", 7, true}}
	n := fits(columns, cells, 14)
	out := []string{heading(columns[:n], cells)}
	for i := 0; i < len(m.silent) && len(out) < lines; i++ {
		s := &m.silent[i]
		out = append(out, row(columns[:n], []cell{
			{clean(s.Symbol), styles.title}, {seconds(s.Silent), silence(s)}, {price(s.Price), styles.plain}, {number(float64(s.Events)), styles.plain},
		}[:n], cells))
	}
	return out
}

// silence is how bad it is that nothing comes of a symbol.
func silence(s *Symbol) lipgloss.Style {
	if s.Silent > 60 {
		return styles.worse
	}
	return styles.plain
}

// symbolTable draws symbols in the order that is asked for.
func (m *Model) symbolTable(cells, lines int) []string {
	if lines < 1 {
		return nil
	}
	name, rate, total, silent := "SYMBOL", "EV/S", "TOTAL", "SILENT"
	down := "▾"
	if m.cfg.ASCII {
		down = "v"
	}
	switch m.query.Sort {
	case ByRate:
		rate += down
	case ByTotal:
		total += down
	case BySilent, ByLatest:
		silent += down
	case ByName:
		name += down
	}
	columns := []column{{"", 1, false}, {name, 0, false}, {rate, 7, true}, {"SHARE", 6, true}, {silent, 7, true}, {"PRICE", 11, true}, {total, 7, true}}
	n := fits(columns, cells, 8)
	if symbols := m.snapshot.SymbolCount; symbols > 0 {
		columns[1].title += fmt.Sprintf("  of %d", symbols)
	}
	if !m.query.Filter.Zero() {
		columns[1].title += "  /" + clean(m.query.Filter.String())
	}
	out := []string{heading(columns[:n], cells)}
	from := m.window(len(m.rows), lines-1)
	for i := from; i < len(m.rows) && len(out) < lines; i++ {
		s := &m.rows[i]
		mark, style := " ", styles.title
		if i == m.cursor {
			mark, style = ">", styles.mark
		}
		out = append(out, row(columns[:n], []cell{
			{mark, styles.title}, {clean(s.Symbol), style}, {number(s.EventRate), styles.plain}, {fmt.Sprintf("%.1f%%", 100*s.Share), styles.dim},
			{seconds(s.Silent), silence(s)}, {price(s.Price), styles.plain}, {number(float64(s.Events)), styles.plain},
		}[:n], cells))
	}
	if len(m.rows) == 0 && lines > 1 {
		text := "  nothing has come yet"
		switch {
		case !m.query.Filter.Zero():
			text = "  no symbol is like that"
		case m.snapshot.ofRelay():
			text = "  the relay does not tell its symbols: look at it with --feed"
		}
		out = append(out, styles.dim.Render(text))
	}
	return out
}
