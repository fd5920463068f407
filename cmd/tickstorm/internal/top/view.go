package top

import (
	"strings"
	"time"

	"charm.land/bubbles/v2/help"
)

// headLines are those above every page, and footLines those below.
const (
	headLines = 4
	footLines = 1
)

// render draws the whole screen, a line of at most its width for each of its lines.
func (m *Model) render() string {
	lines := m.head()
	body := max(0, m.height-headLines-footLines)
	lines = append(lines, m.body(body)...)
	lines = lines[:min(len(lines), max(0, m.height-footLines))]
	for len(lines) < m.height-footLines {
		lines = append(lines, "")
	}
	lines = append(lines, m.foot())
	for i := range lines {
		lines[i] = fit(lines[i], m.width)
	}
	text := strings.Join(lines, "\n")
	if m.cfg.ASCII {
		text = inASCII(text)
	}
	return text
}

// bars are the steps that a spark is drawn with.
func (m *Model) bars() []rune {
	if m.cfg.ASCII {
		return ascii
	}
	return blocks
}

// spark draws a history.
func (m *Model) spark(history []float64, width int) string {
	return spark(history, max(0, width), m.bars())
}

// local is a time on the clocks of the market that is shown.
func (m *Model) local(t time.Time) time.Time { return t.In(m.cfg.Zone(m.snapshot.Market)) }

// clock is when something was.
func (m *Model) clock(t time.Time) string { return m.local(t).Format("15:04:05") }

// foot draws the last line: what is typed, or what can be pressed.
func (m *Model) foot() string {
	if m.typing {
		return styles.title.Render("filter: ") + m.text + styles.mark.Render(" ") + styles.dim.Render("  part of a symbol, or a pattern such as AA*; enter, esc")
	}
	h := help.New()
	h.SetWidth(m.width)
	h.ShortSeparator = "  "
	h.Styles.ShortKey, h.Styles.ShortDesc, h.Styles.ShortSeparator, h.Styles.Ellipsis = styles.title, styles.dim, styles.plain, styles.dim
	return h.ShortHelpView(shortHelp())
}

// body draws a page in so many lines.
func (m *Model) body(lines int) []string {
	switch m.page {
	case symbolsPage:
		return m.symbolTable(m.width, lines)
	case faultsPage:
		return m.faultSheet(lines)
	case clientsPage:
		return m.clientTable(m.width, lines, true)
	case symbolPage:
		return m.symbolSheet(lines)
	case marketsPage:
		return m.marketTable(lines)
	case helpPage:
		return m.helpSheet(lines)
	}
	return m.overview(lines)
}

// wide is from where on two things have room beside each other.
const wide = 110

// overview draws a part of everything.
func (m *Model) overview(lines int) []string {
	if m.width < wide {
		var b []string
		b = append(b, m.channelTable(m.width, min(lines/2, len(m.snapshot.Channels)+1))...)
		news := min(len(m.snapshot.Incidents), max(1, (lines-len(b))/5))
		if m.snapshot.Relay != nil {
			b = append(b, m.clientTable(m.width, min(max(3, (lines-len(b)-news)/2), m.clientLines()), false)...)
		}
		b = append(b, m.symbolsAndSilent(m.width, lines-len(b)-news)...)
		for len(b) < lines-news {
			b = append(b, "")
		}
		return append(b, m.incidents(m.width, news, -1)...)
	}
	half := (m.width - 2) * 9 / 20
	var one []string
	one = append(one, m.channelTable(half, min(lines/2, len(m.snapshot.Channels)+1))...)
	if m.snapshot.Relay != nil {
		one = append(one, "")
		one = append(one, m.clientTable(half, min((lines-len(one))/2, m.clientLines()), false)...)
	}
	one = append(one, "")
	one = append(one, m.silentTable(half, min(len(m.silent)+1, (lines-len(one)-1)/2))...)
	one = append(one, "", styles.head.Render("WHAT HAPPENED"))
	one = append(one, m.incidents(half, lines-len(one), -1)...)
	return beside(one, m.symbolTable(m.width-half-2, lines), half, lines)
}

// beside draws two things beside each other.
func beside(one, two []string, cells, lines int) []string {
	both := make([]string, 0, lines)
	for i := range lines {
		a, b := "", ""
		if i < len(one) {
			a = one[i]
		}
		if i < len(two) {
			b = two[i]
		}
		both = append(both, left(a, cells)+"  "+b)
	}
	return both
}

// window is where a list begins that has so many lines, so that the cursor is in it.
func (m *Model) window(length, lines int) int {
	m.offset = max(0, min(m.offset, m.cursor, length-lines))
	if m.cursor >= m.offset+lines {
		m.offset = m.cursor - lines + 1
	}
	return m.offset
}
