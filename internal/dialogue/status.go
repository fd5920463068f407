// Package dialogue is the server's side of the vendor's dialogue, for every server in this
// module: the greeting, keys, requests and their answers in the vendor's words, and the words
// that Tickstorm adds for what the vendor has none.
package dialogue

import "github.com/tickstorm/tickstorm"

// Status is one status event: a word, and the text that goes with it.
type Status struct{ Status, Message string }

// AppendStatus appends a status event, which is an element of a message.
func AppendStatus(dst []byte, s Status) []byte {
	e := tickstorm.Status{Header: tickstorm.Header{Has: tickstorm.StatusStatus | tickstorm.StatusMessage}}
	e.Status, e.Message = []byte(s.Status), []byte(s.Message)
	return e.AppendJSON(dst)
}

// AppendMessage appends a message of status events.
func AppendMessage(dst []byte, statuses ...Status) []byte {
	dst = append(dst, '[')
	for i, s := range statuses {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = AppendStatus(dst, s)
	}
	return append(dst, ']')
}
