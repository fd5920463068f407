package top

import (
	"fmt"
)

// clientLines are what the table of clients would take.
func (m *Model) clientLines() int { return 1 + max(1, len(m.snapshot.Relay.Clients)) }

// clientTable draws the clients of a relay.
func (m *Model) clientTable(cells, lines int, cursor bool) []string {
	if lines < 1 {
		return nil
	}
	r := m.snapshot.Relay
	columns := []column{{"CLIENT", 0, false}, {"QUEUED", 7, true}, {"P99", 7, true}, {"DROPPED", 7, true}, {"CONFL.", 7, true}, {"TOPICS", 6, true}, {"SENT MB", 8, true}, {"FOR", 6, true}, {"MARKET", 8, false}}
	n := fits(columns, cells, 12)
	columns[0].title = fmt.Sprintf("CLIENTS %d", len(r.Clients))
	out := []string{heading(columns[:n], cells)}
	if r.Error != "" {
		return append(out, styles.bad.Render(fit(r.Error, cells)))
	}
	from := 0
	if cursor {
		from = m.window(len(r.Clients), lines-1)
	}
	for i := from; i < len(r.Clients) && len(out) < lines; i++ {
		c := &r.Clients[i]
		full := 0.0
		if c.Limit > 0 {
			full = 100 * float64(c.Queued) / float64(c.Limit)
		}
		queue := styles.plain
		if full > 50 {
			queue = styles.bad
		}
		out = append(out, row(columns[:n], []cell{
			{clean(c.label()), styles.title}, {fmt.Sprintf("%.0f%%", full), queue}, {known(c.DelayP99), styles.plain},
			{number(float64(c.Dropped)), counted(c.Dropped)}, {number(float64(c.Conflated)), styles.plain}, {number(float64(c.Topics)), styles.plain},
			{megabytes(float64(c.Sent)), styles.plain}, {seconds(c.For), styles.plain}, {clean(string(c.Market)), styles.plain},
		}[:n], cells))
	}
	if len(r.Clients) == 0 && lines > 1 {
		out = append(out, styles.dim.Render("nobody is connected"))
	}
	return out
}
