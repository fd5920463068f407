package top

import (
	"fmt"

	"charm.land/bubbles/v2/key"
)

// marketTable draws the markets that there are.
func (m *Model) marketTable(lines int) []string {
	out := []string{styles.head.Render("MARKETS") + styles.dim.Render("  enter looks at one; the connection to this one ends")}
	for i := m.window(len(m.markets), lines-1); i < len(m.markets) && len(out) < lines; i++ {
		market := m.markets[i]
		mark, style := "  ", styles.plain
		if i == m.cursor {
			mark, style = "> ", styles.mark
		}
		text := mark + style.Render(clean(string(market)))
		if market == m.snapshot.Market {
			text += styles.dim.Render("  this one")
		}
		out = append(out, text)
	}
	return out
}

// helpSheet draws all keys, in as many columns as it takes.
func (m *Model) helpSheet(lines int) []string {
	const cells = 28
	all := fullHelp()
	columns := max(1, m.width/cells)
	if room := lines - 4; room > 0 {
		columns = min(columns, (len(all)+room-1)/room)
	}
	each := (len(all) + columns - 1) / columns
	out := []string{styles.head.Render("KEYS")}
	for i := range each {
		line := ""
		for c := range columns {
			if k := c*each + i; k < len(all) {
				line += left(oneKey(all[k]), cells)
			}
		}
		out = append(out, line)
	}
	legend := "● well, ▲ to be watched, ✖ lost"
	if m.cfg.ASCII {
		legend = "* well, ! to be watched, X lost"
	}
	return append(out, "", styles.dim.Render(legend), styles.dim.Render(fmt.Sprintf("Figures are of the last %s; lag is receipt minus event time.", Short(m.cfg.Interval))))
}

func oneKey(b key.Binding) string {
	return styles.title.Render(left(b.Help().Key, 7)) + " " + fit(b.Help().Desc, 19)
}
