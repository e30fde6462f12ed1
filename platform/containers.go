package platform

// callContainers is the kind of a recorded Containers.
const callContainers = 'K'

// Containers keeps the answer.
func (r *Recorder) Containers() ([]byte, error) {
	text, err := r.host.Containers()
	r.keep(call{kind: callContainers}, text, err)
	return text, err
}

// Containers is the recorded answer.
func (r *Recording) Containers() ([]byte, error) {
	return r.answer(call{kind: callContainers}, "containers")
}
