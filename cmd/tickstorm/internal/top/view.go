package top

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"charm.land/bubbles/v2/help"
	"charm.land/bubbles/v2/key"
	"charm.land/lipgloss/v2"

	"github.com/tickstorm/tickstorm"
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
		text = inASCII.Replace(text)
	}
	return text
}

// inASCII has something of ASCII, and as wide, for the signs that are not.
var inASCII = strings.NewReplacer("µ", "u", "…", "~", "↑", "^", "↓", "v")

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

// clock is when something was.
func (m *Model) clock(t time.Time) string { return t.In(m.cfg.Zone).Format("15:04:05") }

// head draws what is above every page.
func (m *Model) head() []string {
	s := m.snapshot
	state, g := m.state()
	title := g.style().Render(state)
	if s.StateFor > 0 {
		title += " " + seconds(s.StateFor)
	}
	title += "  " + styles.title.Render(string(s.Market))
	if s.Simulator {
		title += "  " + styles.worse.Render("SIMULATOR")
	} else {
		title += "  " + host(s.Feed)
	}
	if s.Why != "" {
		title += "  " + styles.bad.Render(clean(s.Why))
	}
	now := m.clock(s.At)
	if m.paused {
		now = styles.mark.Render(" PAUSED ") + " " + now
	}
	spark := max(6, min(60, (m.width-50)/2))
	rates := fmt.Sprintf("%s %s/s %s  %s MB/s %s", styles.dim.Render("events"), styles.title.Render(right(number(s.EventRate), 6)),
		m.spark(s.history.rate, spark), right(megabytes(s.ByteRate), 6), m.spark(s.history.bytes, spark/2))
	lag := styles.plain
	if s.LagP99 != nil && *s.LagP99 > 1 {
		lag = styles.worse
	}
	lags := fmt.Sprintf("%s p50 %s %s  p99 %s %s", styles.dim.Render("lag   "), lag.Render(right(known(s.LagP50), 6)), m.spark(s.history.p50, spark/2),
		lag.Render(right(known(s.LagP99), 6)), m.spark(s.history.p99, spark))
	age := styles.dim.Render("last event ") + known(s.Age) + styles.dim.Render(" ago")
	faults, queue := m.faults(), m.queue()
	third, fourth := age, queue
	if width(faults)+width(queue) >= m.width { // the queue matters more
		third, fourth = queue, ""
	}
	return []string{
		ends(fit(title, m.width-width(now)-1), now, m.width),
		ends(rates, styles.dim.Render("total ")+number(float64(s.Events)), m.width),
		ends(lags, third, m.width),
		ends(faults, fourth, m.width),
	}
}

// state is that of the connection, with a sign for how bad it is.
func (m *Model) state() (string, Grave) {
	s := m.snapshot
	signs := [...]string{"●", "▲", "✖"}
	if m.cfg.ASCII {
		signs = [...]string{"*", "!", "X"}
	}
	g := Worse
	switch s.State {
	case tickstorm.StateStreaming.String(), "connected":
		g = Well
		if s.Age != nil && *s.Age > 60 {
			g = Worse
		}
	case tickstorm.StateBackoff.String(), tickstorm.StateClosed.String(), "disconnected", "failed", "no answer":
		g = Bad
	}
	text := signs[g] + " " + clean(s.State)
	if g == Well {
		return styles.well.Render(text), g
	}
	return text, g
}

// host is what a feed's address is of.
func host(feed string) string {
	if u, err := url.Parse(feed); err == nil && u.Host != "" {
		return clean(u.Host)
	}
	return clean(feed)
}

// faults is the line of what had better be 0.
func (m *Model) faults() string {
	s := m.snapshot
	var b strings.Builder
	one := func(name string, n uint64) {
		b.WriteString(styles.dim.Render(name) + " " + counted(n).Render(number(float64(n))) + "  ")
	}
	one("gaps", s.Gaps)
	one("dropped", s.Queue.Dropped)
	one("reconnects", s.Reconnects)
	one("errors", s.Errors)
	if n := len(s.Refused); n > 0 {
		one("refused", uint64(n))
	}
	return b.String()
}

// queue is how full it is, and how old what waits there.
func (m *Model) queue() string {
	q := &m.snapshot.Queue
	if q.Capacity == 0 {
		return ""
	}
	full := 100 * float64(q.Bytes) / float64(q.Capacity)
	style := styles.plain
	if full > 50 {
		style = styles.bad
	} else if full > 10 {
		style = styles.worse
	}
	text := styles.dim.Render("queue ") + style.Render(fmt.Sprintf("%.0f%%", full))
	if q.Oldest >= 0.01 {
		text += " " + style.Render(seconds(q.Oldest))
	}
	return text
}

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

// channelTable draws what comes of each channel.
func (m *Model) channelTable(cells, lines int) []string {
	if lines < 1 {
		return nil
	}
	columns := []column{{"CHANNEL", 8, false}, {"EV/S", 7, true}, {"", 0, false}, {"MB/S", 7, true}, {"TOTAL", 7, true}, {"DROPPED", 7, true}}
	n := fits(columns, cells, 8)
	spark := cells - len(columns[:n]) + 1
	for _, c := range columns[:n] {
		spark -= c.width
	}
	out := []string{heading(columns[:n], cells)}
	for _, c := range m.snapshot.Channels {
		if len(out) == lines {
			break
		}
		out = append(out, row(columns[:n], []cell{
			{channelName(c.Channel), styles.title}, {number(c.EventRate), styles.plain}, {m.spark(c.history, spark), styles.well},
			{megabytes(c.ByteRate), styles.plain}, {number(float64(c.Events)), styles.plain}, {number(float64(c.Dropped)), counted(c.Dropped)},
		}[:n], cells))
	}
	return out
}

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
		case m.snapshot.Relay != nil && m.snapshot.Queue.Capacity == 0:
			text = "  the relay does not tell its symbols: look at it with --feed"
		}
		out = append(out, styles.dim.Render(text))
	}
	return out
}

// window is where a list begins that has so many lines, so that the cursor is in it.
func (m *Model) window(length, lines int) int {
	m.offset = max(0, min(m.offset, m.cursor, length-lines))
	if m.cursor >= m.offset+lines {
		m.offset = m.cursor - lines + 1
	}
	return m.offset
}

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
		name := c.Name
		if name == "" {
			name = c.Address
		}
		full := 0.0
		if c.Limit > 0 {
			full = 100 * float64(c.Queued) / float64(c.Limit)
		}
		queue := styles.plain
		if full > 50 {
			queue = styles.bad
		}
		out = append(out, row(columns[:n], []cell{
			{clean(name), styles.title}, {fmt.Sprintf("%.0f%%", full), queue}, {known(inSeconds(c.DelayP99)), styles.plain},
			{number(float64(c.Dropped)), counted(c.Dropped)}, {number(float64(c.Conflated)), styles.plain}, {number(float64(c.Topics)), styles.plain},
			{megabytes(float64(c.Sent)), styles.plain}, {Short(time.Duration(c.For)), styles.plain}, {clean(string(c.Market)), styles.plain},
		}[:n], cells))
	}
	if len(r.Clients) == 0 && lines > 1 {
		out = append(out, styles.dim.Render("nobody is connected"))
	}
	return out
}

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
