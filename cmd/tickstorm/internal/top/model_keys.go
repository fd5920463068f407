package top

import (
	"slices"
	"strings"
	"unicode/utf8"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"
)

// pressed does what a key means.
func (m *Model) pressed(msg tea.KeyPressMsg) tea.Cmd {
	switch {
	case key.Matches(msg, keys.interrupt):
		m.interrupted = true
		return tea.Quit
	case m.typing:
		m.edit(msg)
		return nil
	case key.Matches(msg, keys.quit):
		return tea.Quit
	case key.Matches(msg, keys.suspend):
		return tea.Suspend
	case key.Matches(msg, keys.redraw):
		return tea.ClearScreen
	case key.Matches(msg, keys.help):
		if m.page == helpPage {
			m.show(m.before)
		} else {
			m.aside(helpPage)
		}
	case key.Matches(msg, keys.back):
		m.back()
	case key.Matches(msg, keys.page):
		m.show(m.nextPage())
	case key.Matches(msg, keys.pages):
		if p := sheet(msg.String()[0] - '1'); p != clientsPage || m.snapshot.Relay != nil {
			m.show(p)
		}
	case key.Matches(msg, keys.sort, keys.unsort):
		step := Sort(1)
		if key.Matches(msg, keys.unsort) {
			step = sorts - 1
		}
		m.query.Sort = (m.query.Sort + step) % sorts
		m.rank()
	case key.Matches(msg, keys.filter):
		if !m.listsSymbols() {
			m.show(symbolsPage)
		}
		m.typing, m.text = true, m.query.Filter.String()
	case key.Matches(msg, keys.pause):
		if m.paused = !m.paused; !m.paused {
			m.sample()
		}
	case key.Matches(msg, keys.market):
		m.markets = m.cfg.Feed.Markets()
		m.aside(marketsPage)
		m.cursor = max(0, slices.Index(m.markets, m.snapshot.Market))
	case key.Matches(msg, keys.open):
		return m.open()
	case key.Matches(msg, keys.up):
		m.move(-1)
	case key.Matches(msg, keys.down):
		m.move(1)
	case key.Matches(msg, keys.pageUp):
		m.move(-max(1, m.height-8))
	case key.Matches(msg, keys.pageDown):
		m.move(max(1, m.height-8))
	case key.Matches(msg, keys.home):
		m.move(-m.length())
	case key.Matches(msg, keys.end):
		m.move(m.length())
	}
	return nil
}

func (m *Model) nextPage() sheet {
	pages := []sheet{overview, symbolsPage, faultsPage}
	if m.snapshot.Relay != nil {
		pages = append(pages, clientsPage)
	}
	return pages[(slices.Index(pages, m.page)+1)%len(pages)]
}

// back leaves what was opened, the filter, or the page.
func (m *Model) back() {
	switch m.page {
	case helpPage, marketsPage, symbolPage:
		m.show(m.before)
	case overview, symbolsPage:
		if !m.query.Filter.Zero() {
			m.query.Filter = Filter{}
			m.rank()
			return
		}
		m.show(overview)
	default:
		m.show(overview)
	}
}

// open opens what is under the cursor.
func (m *Model) open() tea.Cmd {
	switch {
	case m.listsSymbols() && m.cursor < len(m.rows):
		m.opened = m.rows[m.cursor]
		m.before = m.page
		m.openings++
		m.show(symbolPage)
		m.cfg.Feed.Watch(m.opened.ID)
		m.cfg.Feed.Tail(&m.tail)
		return m.glanceAgain()
	case m.page == marketsPage && m.cursor < len(m.markets):
		if market := m.markets[m.cursor]; market != m.snapshot.Market {
			m.cfg.Feed.Switch(market)
			m.chosen, m.paused, m.query.Filter = 0, false, Filter{}
			m.sample()
		}
		m.show(m.before)
	}
	return nil
}

// edit has a key be of the filter that is typed; it is at work at once.
func (m *Model) edit(msg tea.KeyPressMsg) {
	switch msg.String() {
	case "enter":
		m.typing = false
		return
	case "esc":
		m.typing, m.text = false, ""
	case "backspace":
		_, n := utf8.DecodeLastRuneInString(m.text)
		m.text = m.text[:len(m.text)-n]
	case "ctrl+u":
		m.text = ""
	default:
		m.typed(msg.Text)
		return
	}
	m.refilter()
}

// maxFilter bounds what is typed.
const maxFilter = 64

func (m *Model) typed(text string) {
	if m.text += strings.TrimSpace(clean(text)); len(m.text) > maxFilter {
		m.text = strings.ToValidUTF8(m.text[:maxFilter], "")
	}
	m.refilter()
}

func (m *Model) refilter() {
	m.query.Filter = NewFilter(m.text)
	m.chosen, m.cursor = 0, 0
	m.rank()
}
