package platform

import "strconv"

// callSave is the kind of a recorded IptablesSave.
const callSave = 'I'

func saveCall(family int) call { return call{callSave, strconv.Itoa(family)} }

// IptablesSave keeps the answer.
func (r *Recorder) IptablesSave(family int) ([]byte, error) {
	text, err := r.host.IptablesSave(family)
	r.keep(saveCall(family), text, err)
	return text, err
}

// IptablesSave is the recorded answer.
func (r *Recording) IptablesSave(family int) ([]byte, error) {
	return r.answer(saveCall(family), "iptables-save")
}
