package top

import (
	"slices"
	"time"

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
