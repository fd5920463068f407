package top

import "charm.land/bubbles/v2/key"

// keys are what can be pressed.
var keys = struct {
	quit, interrupt, suspend, help, back, page, pages, sort, unsort, filter, pause, market, open, up, down, pageUp, pageDown, home, end, redraw key.Binding
}{
	quit:      binding("q", "quit", "q"),
	interrupt: binding("ctrl+c", "quit", "ctrl+c"),
	suspend:   binding("ctrl+z", "to the shell", "ctrl+z"),
	help:      binding("?", "help", "?", "h"),
	back:      binding("esc", "back", "esc", "backspace"),
	page:      binding("tab", "next page", "tab"),
	pages:     binding("1-4", "pages by number", "1", "2", "3", "4"),
	sort:      binding("s", "sort", "s"),
	unsort:    binding("S", "sort, backwards", "S"),
	filter:    binding("/", "filter", "/"),
	pause:     binding("p", "pause", "p", "space"),
	market:    binding("m", "market", "m"),
	open:      binding("enter", "open", "enter", "right", "l"),
	up:        binding("↑ k", "up", "up", "k"),
	down:      binding("↓ j", "down", "down", "j"),
	pageUp:    binding("pgup", "page up", "pgup", "ctrl+b"),
	pageDown:  binding("pgdn", "page down", "pgdown", "ctrl+f"),
	home:      binding("home g", "first", "home", "g"),
	end:       binding("end G", "last", "end", "G"),
	redraw:    binding("ctrl+l", "draw again", "ctrl+l"),
}

func binding(shown, does string, keys ...string) key.Binding {
	return key.NewBinding(key.WithKeys(keys...), key.WithHelp(shown, does))
}

// shortHelp is what the last line names, and fullHelp what the page of help does.
func shortHelp() []key.Binding {
	return []key.Binding{keys.quit, keys.help, keys.page, keys.sort, keys.filter, keys.open, keys.market, keys.pause}
}

func fullHelp() []key.Binding {
	return []key.Binding{
		keys.quit, keys.help, keys.back, keys.page, keys.pages, keys.sort, keys.unsort, keys.filter, keys.pause, keys.market,
		keys.open, keys.up, keys.down, keys.pageUp, keys.pageDown, keys.home, keys.end, keys.redraw, keys.suspend,
	}
}
