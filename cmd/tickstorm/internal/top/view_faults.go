package top

import (
	"fmt"
	"strings"

	"github.com/tickstorm/tickstorm"
)

// incidents draws the last ones, the latest first; from the row of the cursor on if there is one.
func (m *Model) incidents(cells, lines, cursor int) []string {
	all := m.snapshot.Incidents
	var out []string
	from := 0
	if cursor >= 0 {
		from = m.window(len(all), lines)
	}
	for i := from; i < len(all) && len(out) < lines; i++ {
		n := &all[len(all)-1-i]
		sign := [...]string{" ", "▲", "✖"}[n.Grave]
		if m.cfg.ASCII {
			sign = [...]string{" ", "!", "X"}[n.Grave]
		}
		out = append(out, fit(m.clock(n.At)+" "+n.Grave.style().Render(sign+" "+n.Kind)+" "+clean(n.Text), cells))
	}
	if len(all) == 0 && lines > 0 {
		out = append(out, styles.dim.Render("nothing out of the ordinary"))
	}
	return out
}

// faultSheet draws what went wrong: sums, causes, samples, and what happened when.
func (m *Model) faultSheet(lines int) []string {
	s := m.snapshot
	out := []string{styles.head.Render("FAULTS")}
	add := func(name string, n uint64, rest string) {
		out = append(out, left(name, 24)+" "+counted(n).Render(right(number(float64(n)), 7))+"  "+rest)
	}
	gaps := ""
	if s.Gaps > 0 {
		gaps = seconds(s.Missing) + " in all"
	}
	add("gaps", s.Gaps, gaps)
	add("dropped", s.Queue.Dropped, fmt.Sprintf("queue had at most %s of %s MB", megabytes(float64(s.Queue.HighWater)), megabytes(float64(s.Queue.Capacity))))
	add("reconnects", s.Reconnects, "")
	for i, n := range s.ReconnectCauses {
		if n > 0 {
			add("  waits: "+tickstorm.ReconnectCause(i).String(), n, "")
		}
	}
	add("errors", s.Errors, "")
	for i, n := range s.ErrorCauses {
		if n > 0 {
			add("  "+tickstorm.ErrorCause(i).String(), n, styles.dim.Render(fmt.Sprintf("%q", s.ErrorSamples[i])))
		}
	}
	if len(s.Refused) > 0 {
		add("refused topics", uint64(len(s.Refused)), clean(strings.Join(s.Refused, ", ")))
	}
	if s.Untracked > 0 {
		out = append(out, left("events without a symbol, or of too many", 40)+number(float64(s.Untracked)))
	}
	out = out[:min(len(out), max(1, lines-3))]
	out = append(out, styles.head.Render("WHAT HAPPENED"))
	return append(out, m.incidents(m.width, lines-len(out), m.cursor)...)
}
