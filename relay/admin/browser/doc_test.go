// Package browser opens the relay's page in a headless Chromium: what it shows of a relay that
// works, and of one that does not.
//
// Screenshots of it are drawn by
//
//	go test -C relay/admin/browser -run Screenshots -update
package browser
