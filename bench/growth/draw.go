package main

import (
	"bytes"
	"cmp"
	"fmt"
	"html"
	"math"
	"slices"
	"strconv"
)

// The picture's size and the margins of its plot, which on the right has the labels.
const (
	width, height = 760, 400
	left, right   = 60, 150
	top, bottom   = 50, 50
	labelGap      = 15 // between the baselines of two labels
)

// style has a colour for light backgrounds and one for dark ones, which the page's reader
// chooses. The colours outside the query can be read on both, for what knows no query.
const style = `<style>
text { font: 12px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #6e7781; }
.title { font-size: 14px; font-weight: 600; }
.grid { stroke: #6e7781; stroke-opacity: 0.25; }
.curve { fill: none; stroke-width: 2; stroke-linejoin: round; }
.old { stroke-dasharray: 6 4; }
.c0 { stroke: #2f81d0; } .f0 { fill: #2f81d0; }
.c1 { stroke: #c4621f; } .f1 { fill: #c4621f; }
.c2 { stroke: #2e9460; } .f2 { fill: #2e9460; }
.c3 { stroke: #9a62cf; } .f3 { fill: #9a62cf; }
@media (prefers-color-scheme: light) { text { fill: #424a53; } }
@media (prefers-color-scheme: dark) { text { fill: #b1bac4; } }
</style>
`

// markers are shapes around a place, one for each colour: whoever cannot tell colours
// apart can tell these.
var markers = []func(x, y float64) string{
	func(x, y float64) string { return fmt.Sprintf(`<circle cx="%.1f" cy="%.1f" r="4"`, x, y) },
	func(x, y float64) string {
		return fmt.Sprintf(`<rect x="%.1f" y="%.1f" width="7" height="7"`, x-3.5, y-3.5)
	},
	func(x, y float64) string { return polygon(x, y-5, x+4.5, y+3.5, x-4.5, y+3.5) },
	func(x, y float64) string { return polygon(x, y-5, x+5, y, x, y+5, x-5, y) },
}

func polygon(at ...float64) string {
	var b []byte
	for pair := range slices.Chunk(at, 2) {
		b = fmt.Appendf(b, " %.1f,%.1f", pair[0], pair[1])
	}
	return fmt.Sprintf(`<polygon points="%s"`, b[1:])
}

// plot turns figures into places.
type plot struct {
	low, high float64 // logarithms of the numbers of symbols at both ends
	step, top float64 // of the axis of times
}

func (p plot) x(symbols int) float64 {
	return left + (math.Log10(float64(symbols))-p.low)/(p.high-p.low)*(width-left-right)
}

func (p plot) y(ns float64) float64 { return height - bottom - ns/p.top*(height-top-bottom) }

// label is a text beside the end of a curve.
type label struct {
	text  string
	color int
	x, y  float64
}

// draw returns curves as an SVG. The older of a distribution's two has its colour and marker,
// and dashes.
func draw(curves []curve) ([]byte, error) {
	var names []string
	for _, c := range curves {
		if !slices.Contains(names, c.distribution) {
			names = append(names, c.distribution)
		}
	}
	if len(names) > len(markers) {
		return nil, fmt.Errorf("%d distributions, of which %d can be told apart: %q", len(names), len(markers), names)
	}
	p := scale(curves)
	older := slices.ContainsFunc(curves, func(c curve) bool { return c.old })
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-labelledby="title desc">`+"\n", width, height)
	b.WriteString("<title id=\"title\">Time per event over the number of symbols</title>\n")
	describe(&b, curves)
	b.WriteString(style)
	caption := "Nanoseconds per event, by number of symbols"
	if older {
		caption += " (dashed: before)"
	}
	fmt.Fprintf(&b, `<text class="title" x="%d" y="24">%s</text>`+"\n", left, caption)
	p.axes(&b)
	var labels []label
	for _, c := range curves {
		color := slices.Index(names, c.distribution)
		p.curve(&b, c, color)
		last := c.points[len(c.points)-1]
		text := fmt.Sprintf("%s %.0f", c.distribution, last.ns)
		if c.old {
			text = fmt.Sprintf("%s before %.0f", c.distribution, last.ns)
		}
		labels = append(labels, label{text, color, p.x(last.symbols) + 10, p.y(last.ns) + 4})
	}
	spread(labels)
	for _, l := range labels {
		fmt.Fprintf(&b, `<text class="f%d" x="%.1f" y="%.1f">%s</text>`+"\n", l.color, l.x, l.y, html.EscapeString(l.text))
	}
	b.WriteString("</svg>\n")
	return b.Bytes(), nil
}

// describe writes all figures as text, for who does not see the picture.
func describe(b *bytes.Buffer, curves []curve) {
	b.WriteString(`<desc id="desc">`)
	for _, c := range curves {
		b.WriteString(html.EscapeString(c.distribution))
		if c.old {
			b.WriteString(" before")
		}
		b.WriteString(":")
		for i, at := range c.points {
			if i > 0 {
				b.WriteString(";")
			}
			fmt.Fprintf(b, " %d symbols %.0f ns", at.symbols, at.ns)
		}
		b.WriteString(".\n")
	}
	b.WriteString("</desc>\n")
}

// scale chooses axes that have room for all curves: time begins at zero, as a curve's slope
// says nothing otherwise.
func scale(curves []curve) plot {
	p := plot{low: math.Inf(1), high: math.Inf(-1)}
	most := 0.0
	for _, c := range curves {
		for _, at := range c.points {
			log := math.Log10(float64(at.symbols))
			p.low, p.high = min(p.low, log), max(p.high, log)
			most = max(most, at.ns)
		}
	}
	if p.low == p.high { // one size: in the middle
		p.low, p.high = p.low-0.5, p.high+0.5
	}
	// Five lines or so, at one, two or five times a power of ten.
	p.step = math.Pow(10, math.Floor(math.Log10(most/5)))
	for _, factor := range []float64{1, 2, 5, 10} {
		if step := p.step * factor; most/step <= 5 || factor == 10 {
			p.step = step
			break
		}
	}
	p.top = math.Ceil(most/p.step) * p.step
	return p
}

func (p plot) axes(b *bytes.Buffer) {
	for line := 0.0; line <= math.Round(p.top/p.step); line++ {
		ns := line * p.step
		y := p.y(ns)
		fmt.Fprintf(b, `<line class="grid" x1="%d" x2="%d" y1="%.1f" y2="%.1f"/>`+"\n", left, width-right, y, y)
		fmt.Fprintf(b, `<text x="%d" y="%.1f" text-anchor="end">%s</text>`+"\n", left-8, y+4, strconv.FormatFloat(ns, 'g', 6, 64))
	}
	for exponent := math.Ceil(p.low); exponent <= p.high; exponent++ {
		symbols := int(math.Pow(10, exponent))
		fmt.Fprintf(b, `<text x="%.1f" y="%d" text-anchor="middle">%s</text>`+"\n", p.x(symbols), height-bottom+20, short(symbols))
	}
	fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="middle">symbols, logarithmic</text>`+"\n", left+(width-left-right)/2, height-10)
}

// short writes 1000 as 1k and 1000000 as 1M.
func short(n int) string {
	switch {
	case n >= 1_000_000 && n%1_000_000 == 0:
		return strconv.Itoa(n/1_000_000) + "M"
	case n >= 1000 && n%1000 == 0:
		return strconv.Itoa(n/1000) + "k"
	}
	return strconv.Itoa(n)
}

func (p plot) curve(b *bytes.Buffer, c curve, color int) {
	class := fmt.Sprintf("curve c%d", color)
	if c.old {
		class += " old"
	}
	fmt.Fprintf(b, `<polyline class="%s" points="`, class)
	for i, at := range c.points {
		if i > 0 {
			b.WriteByte(' ')
		}
		fmt.Fprintf(b, "%.1f,%.1f", p.x(at.symbols), p.y(at.ns))
	}
	b.WriteString("\"/>\n")
	for _, at := range c.points {
		fmt.Fprintf(b, `%s class="f%d"/>`+"\n", markers[color](p.x(at.symbols), p.y(at.ns)), color)
	}
}

// spread moves labels apart, since curves may end at the same place: upwards from the lowest,
// and back down from the highest where that led out of the picture.
func spread(labels []label) {
	slices.SortStableFunc(labels, func(a, b label) int { return cmp.Compare(b.y, a.y) })
	for i := 1; i < len(labels); i++ {
		labels[i].y = min(labels[i].y, labels[i-1].y-labelGap)
	}
	highest := float64(top)
	for i := len(labels) - 1; i >= 0; i-- {
		labels[i].y = max(labels[i].y, highest)
		highest = labels[i].y + labelGap
	}
}
