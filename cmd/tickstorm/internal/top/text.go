package top

import (
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Short is a duration in few letters, such as 340ms, 2.1s, 3m20s or 5d02h.
func Short(d time.Duration) string {
	switch d = max(d, 0); {
	case d == math.MaxInt64:
		return "ages"
	case d < time.Microsecond:
		return "0"
	case d < time.Millisecond:
		return strconv.FormatInt(d.Microseconds(), 10) + "µs"
	case d < 9950*time.Microsecond:
		return strconv.FormatFloat(float64(d)/1e6, 'f', 1, 64) + "ms"
	case d < 999500*time.Microsecond:
		return strconv.FormatFloat(float64(d)/1e6, 'f', 0, 64) + "ms"
	case d < 9950*time.Millisecond:
		return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + "s"
	case d < time.Minute:
		return strconv.Itoa(int(d.Seconds())) + "s"
	case d < time.Hour:
		return two(d/time.Minute, "m", d%time.Minute/time.Second, "s")
	case d < 24*time.Hour:
		return two(d/time.Hour, "h", d%time.Hour/time.Minute, "m")
	}
	return two(d/(24*time.Hour), "d", d%(24*time.Hour)/time.Hour, "h")
}

func two(a time.Duration, unit string, b time.Duration, part string) string {
	second := strconv.Itoa(int(b))
	if len(second) == 1 {
		second = "0" + second
	}
	return strconv.Itoa(int(a)) + unit + second + part
}

// seconds is a number of seconds in few letters.
func seconds(s float64) string {
	return Short(time.Duration(min(s, math.MaxInt64/2e9) * 1e9))
}

// known is a number of seconds that may not be known.
func known(s *float64) string {
	if s == nil {
		return "-"
	}
	return seconds(*s)
}

// number is a number in few letters, such as 7.3, 812, 12.0k or 1.23M.
func number(v float64) string {
	switch {
	case v < 9.95 && v != math.Trunc(v):
		return strconv.FormatFloat(v, 'f', 1, 64)
	case v < 9999.5:
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	for _, unit := range []string{"k", "M", "G"} {
		if v /= 1000; v < 999.5 {
			return strconv.FormatFloat(v, 'f', decimals(v), 64) + unit
		}
	}
	return strconv.FormatFloat(v/1000, 'f', 1, 64) + "T"
}

// decimals are as many as make three digits.
func decimals(v float64) int {
	switch {
	case v < 9.995:
		return 2
	case v < 99.95:
		return 1
	}
	return 0
}

// megabytes is a number of bytes in millions.
func megabytes(v float64) string {
	if v >= 99.95e6 {
		return strconv.FormatFloat(v/1e6, 'f', 0, 64)
	}
	return strconv.FormatFloat(v/1e6, 'f', 2, 64)
}

// price is one as short as it goes.
func price(v float64) string {
	if v == 0 {
		return "-"
	}
	text := strconv.FormatFloat(v, 'f', -1, 64)
	if dot := strings.IndexByte(text, '.'); dot >= 0 && len(text)-dot > 9 {
		text = strconv.FormatFloat(v, 'f', 8, 64)
	}
	return text
}

// exact is a number as exact as so many letters allow; one without a fraction may have more.
func exact(v float64, letters int) string {
	text := strconv.FormatFloat(v, 'f', -1, 64)
	dot := strings.IndexByte(text, '.')
	if dot < 0 || len(text) <= letters {
		return text
	}
	places := max(0, letters-dot-1)
	if text = strconv.FormatFloat(v, 'f', places, 64); len(text) > letters && places > 0 { // 9.99 is 10.0
		text = strconv.FormatFloat(v, 'f', places-1, 64)
	}
	return text
}

// clean is a text of somebody else's without what a terminal would take for more than that.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || r == '\n' || r == '\r':
			return ' '
		case unicode.IsPrint(r):
			return r
		}
		return '\uFFFD'
	}, text)
}

// inASCII is a text with signs of ASCII alone, in as many cells: something alike where there is, else
// question marks.
func inASCII(text string) string {
	if strings.IndexFunc(text, func(r rune) bool { return r >= utf8.RuneSelf }) < 0 {
		return text
	}
	var b strings.Builder
	for _, r := range alike.Replace(text) {
		if r < utf8.RuneSelf {
			b.WriteRune(r)
			continue
		}
		for range width(string(r)) {
			b.WriteByte('?')
		}
	}
	return b.String()
}

var alike = strings.NewReplacer("µ", "u", "…", "~", "↑", "^", "↓", "v")

// spark draws the last values of a history, as many as there is room for, from 0 to the highest of them;
// a negative value is left blank.
func spark(history []float64, width int, bars []rune) string {
	history = history[max(0, len(history)-width):]
	highest := 0.0
	for _, v := range history {
		highest = max(highest, v)
	}
	var b strings.Builder
	for range width - len(history) {
		b.WriteByte(' ')
	}
	for _, v := range history {
		switch {
		case v < 0:
			b.WriteByte(' ')
		case highest == 0:
			b.WriteRune(bars[0])
		default:
			b.WriteRune(bars[min(len(bars)-1, int(v/highest*float64(len(bars))))])
		}
	}
	return b.String()
}

// The steps of a spark, for terminals that have them, and for others.
var (
	blocks = []rune("▁▂▃▄▅▆▇█")
	ascii  = []rune("_.-=+*#@")
)
