package top

import (
	"strings"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"
)

// styles are colours by meaning. Those are of the terminal's own sixteen, which its user has chosen to be
// read; whatever a colour says, a word or a sign says too.
var styles = struct{ plain, head, dim, title, well, worse, bad, mark lipgloss.Style }{
	plain: lipgloss.NewStyle(),
	head:  lipgloss.NewStyle().Bold(true).Foreground(lipgloss.Cyan),
	dim:   lipgloss.NewStyle().Foreground(lipgloss.BrightBlack),
	title: lipgloss.NewStyle().Bold(true),
	well:  lipgloss.NewStyle().Foreground(lipgloss.Green),
	worse: lipgloss.NewStyle().Bold(true).Foreground(lipgloss.Yellow),
	bad:   lipgloss.NewStyle().Bold(true).Foreground(lipgloss.Red),
	mark:  lipgloss.NewStyle().Reverse(true),
}

// style is that of what is so bad.
func (g Grave) style() lipgloss.Style {
	return [...]lipgloss.Style{styles.plain, styles.worse, styles.bad}[g]
}

// counted is how bad a number is that had better be 0.
func counted(n uint64) lipgloss.Style {
	if n > 0 {
		return styles.bad
	}
	return styles.plain
}

// width is how many cells a text takes.
func width(text string) int { return ansi.StringWidth(text) }

// fit cuts a text to so many cells, with an ellipsis.
func fit(text string, cells int) string {
	if cells <= 0 {
		return ""
	}
	return ansi.Truncate(text, cells, "…")
}

// left and right are a text in so many cells.
func left(text string, cells int) string {
	text = fit(text, cells)
	return text + strings.Repeat(" ", max(0, cells-width(text)))
}

func right(text string, cells int) string {
	text = fit(text, cells)
	return strings.Repeat(" ", max(0, cells-width(text))) + text
}

// ends are two texts at both ends of so many cells; the second goes where there is no room.
func ends(a, b string, cells int) string {
	if room := cells - width(b); room > width(a) {
		return a + strings.Repeat(" ", room-width(a)) + b
	}
	return left(a, cells)
}

// column is one of a table. One without a width takes what the others leave.
type column struct {
	title string
	width int
	right bool
}

// cell is a text in a style.
type cell struct {
	text  string
	style lipgloss.Style
}

// row draws a line of a table, of so many cells.
func row(columns []column, cells []cell, total int) string {
	rest := total - len(columns) + 1
	for _, c := range columns {
		rest -= c.width
	}
	var b strings.Builder
	for i, c := range columns {
		if i > 0 {
			b.WriteByte(' ')
		}
		w := c.width
		if w == 0 {
			w = max(rest, 0)
		}
		text := left(cells[i].text, w)
		if c.right {
			text = right(cells[i].text, w)
		}
		b.WriteString(cells[i].style.Render(text))
	}
	return fit(b.String(), total)
}

// heading draws the titles.
func heading(columns []column, total int) string {
	cells := make([]cell, len(columns))
	for i, c := range columns {
		cells[i] = cell{c.title, styles.head}
	}
	return row(columns, cells, total)
}

// fits drops columns, the last first, until so many cells are enough, and returns how many are left.
func fits(columns []column, total, least int) int {
	n := len(columns)
	for n > 1 {
		need := n - 1
		for _, c := range columns[:n] {
			if c.width == 0 {
				need += least
			}
			need += c.width
		}
		if need <= total {
			break
		}
		n--
	}
	return n
}
