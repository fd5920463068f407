package top

import (
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"

	"github.com/tickstorm/tickstorm"
)

// ModelConfig says what a [Model] shows, and how.
type ModelConfig struct {
	Feed     Feed
	Zone     func(tickstorm.Market) *time.Location // of a market's clocks
	Interval time.Duration                         // between samples
	Query    Query                                 // to begin with
	ASCII    bool                                  // the terminal has no signs but those of ASCII
	Now      func() time.Time
}

// A Model is the live view of a feed, a [tea.Model].
type Model struct {
	cfg           ModelConfig
	width, height int
	content       string // what is drawn, which changes by Update alone

	snapshot *Snapshot
	rows     []Symbol
	silent   []Symbol
	query    Query
	paused   bool
	page     sheet
	before   sheet // that help and markets go back to

	cursor int    // row of the list
	chosen uint32 // symbol under the cursor, which moves along; 0 while it is at the top
	offset int    // of the list's first row that is drawn

	typing bool // a filter
	text   string

	opened   Symbol
	openings uint64 // how many symbols were opened
	tail     Tail
	markets  []tickstorm.Market

	interrupted bool
}

// sheet is what the lower part shows.
type sheet uint8

const (
	overview sheet = iota
	symbolsPage
	faultsPage
	clientsPage
	symbolPage
	marketsPage
	helpPage
)

// most is how many symbols are ranked to be scrolled through.
const most = 1000

// glance is how often an opened symbol's events are looked at: as often as anything is drawn.
const glance = 100 * time.Millisecond

// FPS is how often a second the terminal may be written to.
const FPS = 10

type (
	sampleMsg time.Time // another sample is due
	glanceMsg uint64    // the symbol that was opened so manieth is to be looked at
)

// NewModel returns a view.
func NewModel(cfg ModelConfig) *Model {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	m := &Model{cfg: cfg, query: cfg.Query, width: 80, height: 24}
	m.query.Rows = most
	return m
}

// Interrupted reports whether it was Ctrl-C that ended it.
func (m *Model) Interrupted() bool { return m.interrupted }

// Init implements [tea.Model].
func (m *Model) Init() tea.Cmd {
	m.sample()
	m.content = m.render()
	return m.next()
}

func (m *Model) next() tea.Cmd {
	return tea.Tick(m.cfg.Interval, func(t time.Time) tea.Msg { return sampleMsg(t) })
}

func (m *Model) glanceAgain() tea.Cmd {
	n := m.openings
	return tea.Tick(glance, func(time.Time) tea.Msg { return glanceMsg(n) })
}

// View implements [tea.Model].
func (m *Model) View() tea.View {
	v := tea.NewView(m.content)
	v.AltScreen = true
	v.WindowTitle = "tickstorm top"
	return v
}

// Update implements [tea.Model].
func (m *Model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	var cmd tea.Cmd
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case sampleMsg:
		m.sample()
		cmd = m.next()
		if m.paused {
			return m, cmd
		}
	case glanceMsg:
		if m.page != symbolPage || uint64(msg) != m.openings {
			return m, nil
		}
		cmd = m.glanceAgain()
		if m.paused || !m.cfg.Feed.Tail(&m.tail) {
			return m, cmd
		}
	case tea.PasteMsg:
		if m.typing {
			m.typed(msg.Content)
		}
	case tea.KeyPressMsg:
		cmd = m.pressed(msg)
	default:
		return m, nil
	}
	m.content = m.render()
	return m, cmd
}

// sample takes the next snapshot. While it is paused the feed is sampled all the same, so that its
// history has no hole, but nothing of it is shown, and symbols stay as they are, to be sorted and filtered.
func (m *Model) sample() {
	s := m.cfg.Feed.Sample(m.cfg.Now(), !m.paused)
	if m.paused {
		return
	}
	m.snapshot = s
	m.rank()
}

// rank sorts anew, and has the cursor go where its symbol went.
func (m *Model) rank() {
	m.rows = m.cfg.Feed.Rank(m.query)
	m.silent = m.cfg.Feed.Rank(Query{Sort: BySilent, Filter: m.query.Filter, Rows: 20})
	if m.page == symbolPage {
		if s, ok := m.cfg.Feed.Symbol(m.opened.ID); ok {
			m.opened = s
		}
	}
	if m.chosen != 0 && m.listsSymbols() {
		if i := slices.IndexFunc(m.rows, func(s Symbol) bool { return s.ID == m.chosen }); i >= 0 {
			m.cursor = i
		}
	}
	m.move(0)
}

func (m *Model) listsSymbols() bool { return m.page == overview || m.page == symbolsPage }

// length is how many rows the list has that the cursor is in.
func (m *Model) length() int {
	switch m.page {
	case overview, symbolsPage:
		return len(m.rows)
	case marketsPage:
		return len(m.markets)
	case faultsPage:
		return len(m.snapshot.Incidents)
	case clientsPage:
		if m.snapshot.Relay != nil {
			return len(m.snapshot.Relay.Clients)
		}
	}
	return 0
}

// move moves the cursor.
func (m *Model) move(by int) {
	m.cursor = max(0, min(m.cursor+by, m.length()-1))
	if by != 0 && m.listsSymbols() {
		m.chosen = 0
		if m.cursor > 0 {
			m.chosen = m.rows[m.cursor].ID
		}
	}
}

// show goes to a page.
func (m *Model) show(p sheet) {
	if m.page == symbolPage {
		m.cfg.Feed.Watch(0)
		m.tail = Tail{}
	}
	m.page, m.cursor, m.offset = p, 0, 0
	if m.listsSymbols() {
		m.rank()
	}
}

// aside goes to a page that one comes back from.
func (m *Model) aside(p sheet) {
	if m.page != marketsPage && m.page != helpPage && m.page != symbolPage {
		m.before = m.page
	}
	m.show(p)
}

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
