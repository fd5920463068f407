package record

import (
	"bytes"
	"strconv"

	"github.com/tickstorm/tickstorm"
)

// EventTime is the time that an element of a kind has itself in nanoseconds since 1970, an
// aggregate's its end; 0 if it has none. It is looked for and not decoded: a member of the name in
// the vendor's compact form is it, wherever it stands. In a string it cannot stand, where quotes
// have a backslash.
func EventTime(kind tickstorm.Kind, element []byte) int64 {
	key := `,"t":`
	switch kind { // unknown too if there is an error
	case tickstorm.KindAggregate:
		key = `,"e":`
	case tickstorm.KindStatus, tickstorm.KindUnknown:
		return 0
	}
	i := bytes.Index(element, []byte(key))
	if i < 0 {
		return 0
	}
	b := element[i+len(key):]
	var n int64
	for i, c := range b {
		if c-'0' <= 9 && i < 19 { // 19 digits may overflow, which is seen below
			n = n*10 + int64(c-'0')
			continue
		}
		if i == 0 || c != ',' && c != '}' || n < 0 {
			n = oddTime(b)
		}
		break
	}
	return tickstorm.Timestamp(n).Nanoseconds()
}

// oddTime reads a time that is not written as an integer, of which the vendor's feed has some.
func oddTime(b []byte) int64 {
	end := bytes.IndexAny(b, ",} ")
	if end < 0 || end > 32 {
		return 0
	}
	f, err := strconv.ParseFloat(string(b[:end]), 64)
	if err != nil || f != f || f < -1e18 || f > 9e18 {
		return 0
	}
	return int64(f)
}
