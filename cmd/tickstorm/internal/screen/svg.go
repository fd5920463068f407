package screen

import (
	"fmt"
	"html"
	"image/color"
	"strings"

	uv "github.com/charmbracelet/ultraviolet"
	"github.com/charmbracelet/x/ansi"
)

// The picture's colours and measures: those of a terminal that is dark.
const (
	paper = "#11151c"
	ink   = "#d3dae3"

	cellWidth  = 8.4
	cellHeight = 18
	margin     = 14
)

// palette are the sixteen colours of a terminal.
var palette = [16]string{
	"#3b4252", "#ef6b73", "#7fd88f", "#f0c674", "#6ca8f0", "#c594e0", "#5cc8d6", "#d3dae3",
	"#7c8798", "#ff8f95", "#a5eab0", "#ffdd94", "#93c2ff", "#ddb6f2", "#8be3ee", "#ffffff",
}

// SVG draws what is on the screen as a picture. It has no script, no font and no address in it.
func (s *Screen) SVG(title string) string {
	width, height := s.Size()
	w, h := float64(width)*cellWidth+2*margin, float64(height)*cellHeight+2*margin
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%.0f" height="%.0f" viewBox="0 0 %.0f %.0f" role="img" aria-label="%s">`+"\n", w, h, w, h, html.EscapeString(title))
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" rx="8" fill="%s"/>`+"\n", paper)
	b.WriteString(`<g font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace" font-size="14" xml:space="preserve">` + "\n")
	for y := range height {
		for x := 0; x < width; {
			x = s.run(&b, x, y, width)
		}
	}
	b.WriteString("</g>\n</svg>\n")
	return b.String()
}

// run draws the cells from x on that are of one style, and returns where the next begins.
func (s *Screen) run(b *strings.Builder, x, y, width int) int {
	first := s.Cell(x, y)
	at := x
	var text strings.Builder
	for x < width {
		c := s.Cell(x, y)
		if !c.Style.Equal(&first.Style) {
			break
		}
		if c.Content == "" {
			c.Content = " "
		}
		text.WriteString(c.Content)
		x += max(1, c.Width)
	}
	drawn := text.String()
	left, top := margin+float64(at)*cellWidth, margin+float64(y)*cellHeight
	fg, bg := colour(first.Style.Fg, ink), colour(first.Style.Bg, "")
	if first.Style.Attrs&uv.AttrReverse != 0 {
		fg, bg = paper, fg
	}
	if bg != "" {
		fmt.Fprintf(b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%d" fill="%s"/>`+"\n", left, top, float64(x-at)*cellWidth, cellHeight, bg)
	}
	if trimmed := strings.TrimRight(drawn, " "); trimmed != "" {
		lead := len(trimmed) - len(strings.TrimLeft(trimmed, " "))
		left += float64(lead) * cellWidth
		trimmed = trimmed[lead:]
		weight := ""
		if first.Style.Attrs&uv.AttrBold != 0 {
			weight = ` font-weight="bold"`
		}
		fmt.Fprintf(b, `<text x="%.1f" y="%.1f" fill="%s"%s textLength="%.1f">%s</text>`+"\n",
			left, top+13.5, fg, weight, float64(ansi.StringWidth(trimmed))*cellWidth, html.EscapeString(trimmed))
	}
	return x
}

// colour is a cell's colour as SVG has it.
func colour(c color.Color, other string) string {
	switch c := c.(type) {
	case nil:
		return other
	case ansi.BasicColor:
		return palette[c&15]
	case ansi.IndexedColor:
		if c < 16 {
			return palette[c]
		}
	}
	r, g, bl, _ := c.RGBA()
	return fmt.Sprintf("#%02x%02x%02x", r>>8, g>>8, bl>>8)
}
