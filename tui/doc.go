// Package tui is the screen: it draws a session's values and turns keys into
// edits of the session.
//
// One Model holds what the screen remembers (focus, scroll, what is being
// typed); everything it shows comes from snapshots of the session, through the
// small interface notebook, and is drawn by functions that return lines of a
// given width. Keys are dispatched by one table (keys.go), from which the help
// and the hint line come too.
//
// Colour never says anything alone: errors, marks and the focus have signs of
// their own. Nothing blinks, and a frame in which nothing changed is not sent.
//
// It must not do arithmetic on data (fitting does), read or write files (session
// does; only the log of the one run looked at is followed here, with rundir and off
// the event loop), or hold anything that closing the screen would lose.
package tui
