package top

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/tickstorm/tickstorm"
)

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
	g := graveOf(s.State)
	if g == Well && s.Age != nil && *s.Age > 60 {
		g = Worse
	}
	text := signs[g] + " " + clean(s.State)
	if g == Well {
		return styles.well.Render(text), g
	}
	return text, g
}

// graveOf is how bad a state is, of a client or of a relay's market.
func graveOf(state string) Grave {
	switch state {
	case tickstorm.StateStreaming.String(), "connected":
		return Well
	case tickstorm.StateBackoff.String(), tickstorm.StateClosed.String(), "disconnected", "failed", "no answer":
		return Bad
	}
	return Worse
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
