package tui

import (
	"time"

	"github.com/etastar/etastar/session"
	"github.com/etastar/etastar/trainer/rundir"
)

// notebook is all the screen asks of a session. It is an interface so that
// screens can be tested on values that took no fitting to make.
type notebook interface {
	Items() []session.Item
	Wait(timeout time.Duration) bool
	Changed() <-chan struct{}
	Text() string
	SetText(text string)
	SetLine(line int, text string)
	InsertStatement(after int, text string) int
	SetProse(line, count int, text string)
	DeleteLine(line int)
	Cancel(line int)
	Rerun(line int)
	MoveStatement(line, by int) int
	Check(line int, text string) *session.CellError
	Undo() string
	Redo() string
	Knobs(line int) []session.Knob
	Turn(line int, param string, steps int, coarse bool) error
	Toggle(line int, param string) error
	SetParam(line int, param, value string) error
	ToggleListed(line int, param, value string) error
	File() session.File
	Poll()
	Reload() error
	Overwrite() error
	Save() error
	SaveAs(path string) error
	Complete(line int, text string, cursor int) []session.Completion
	Answer(line int) (session.Answer, bool)
	Start(line int) (string, error)
	AskRuns(line int, r rundir.Request, only ...string) (int, error)
}

var _ notebook = (*session.Session)(nil)

// editWait is how long a frame waits for what an edit recomputes: a fit is
// faster, so its numbers land in the frame that shows the key.
const editWait = 12 * time.Millisecond
