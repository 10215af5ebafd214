package tui

import (
	tea "charm.land/bubbletea/v2"

	"github.com/etastar/etastar/trainer/rundir"
)

// runLog is the log of the run picked, as far as it was read. What it holds belongs to
// the event loop; the tail to the one command that reads.
type runLog struct {
	dir     string
	tail    *rundir.Tail
	events  []rundir.Event
	err     error
	gen     int // grows with every change
	reading bool
}

// logKey tells one state of a log from another.
type logKey struct {
	log *runLog
	gen int
}

func (l *runLog) key() logKey {
	if l == nil {
		return logKey{}
	}
	return logKey{l, l.gen}
}

// loggedMsg is what a look at a log found.
type loggedMsg struct {
	log       *runLog
	events    []rundir.Event
	restarted bool // what was read before is no longer in the file
	more      bool
	err       error
}

// pollsAtOnce bounds what one command reads, so that a long log is seen growing.
const pollsAtOnce = 16

// followRun reads on in the log of the picked run, off the event loop.
func (m *Model) followRun() tea.Cmd {
	v, i := m.runPicked()
	if i < 0 || v.Runs[i].Dir == "" {
		m.log = nil
		return nil
	}
	if dir := v.Runs[i].Dir; m.log == nil || m.log.dir != dir {
		m.log = &runLog{dir: dir, tail: rundir.NewTail(dir)}
	}
	l := m.log
	if l.reading {
		return nil
	}
	l.reading = true
	return func() tea.Msg { return l.read() }
}

func (l *runLog) read() loggedMsg {
	msg := loggedMsg{log: l, more: true}
	for n := 0; msg.more && n < pollsAtOnce; n++ {
		events, more, restarted, err := l.tail.Poll()
		if restarted {
			msg.restarted, msg.events = true, nil
		}
		for i := range events {
			events[i].Stats = nil // large, and not shown
		}
		msg.events, msg.more, msg.err = append(msg.events, events...), more, err
	}
	return msg
}

// logged takes what was read; a log that is no longer looked at is dropped.
func (m *Model) logged(msg loggedMsg) tea.Cmd {
	l := msg.log
	l.reading = false
	if l != m.log {
		return nil
	}
	if msg.restarted || len(msg.events) > 0 || (msg.err == nil) != (l.err == nil) {
		if msg.restarted {
			l.events = nil
		}
		l.events, l.err = rundir.Merge(l.events, msg.events), msg.err
		l.gen++
		m.dirty = true
	}
	if msg.more {
		return m.followRun()
	}
	return nil
}
