# Thin: what there is to know is in scripts/bootstrap.py and in `vjepa-ros --help`.
PYTHON ?= python3
VENV := .venv/bin

# A sourced ROS is used as it is, and finds the interfaces that setup built in .venv.
# Without one, colcon needs to be told that ROS is in .venv too.
ifdef ROS_DISTRO
export LD_LIBRARY_PATH := $(CURDIR)/.venv/lib:$(LD_LIBRARY_PATH)
export AMENT_PREFIX_PATH := $(CURDIR)/.venv:$(AMENT_PREFIX_PATH)
else
COLCON_ENVIRONMENT := AMENT_PREFIX_PATH=$(CURDIR)/.venv CMAKE_PREFIX_PATH=$(CURDIR)/.venv
COLCON_CMAKE_ARGS := --cmake-args -DCMAKE_PROJECT_INCLUDE=$(CURDIR)/cmake/ros_wheels.cmake
endif

.PHONY: setup demo twin test replay lint docs colcon weights clean

setup:  ## create .venv with all that the project needs
	@$(PYTHON) scripts/bootstrap.py

demo: setup  ## the simulated arm picks and places to a goal: film, report, recording in runs/
	@$(VENV)/vjepa-ros demo

twin: setup  ## likewise on the twin of a stock FR3, with the YAML that is for the arm
	@$(VENV)/vjepa-ros demo --robot franka_crisp

test: setup  ## run all tests, on all cores
	$(VENV)/python -m pytest --numprocesses auto --dist loadfile

replay: setup  ## hold the shipped weights to the committed gate, on the shipped recordings
	@mkdir -p runs
	$(VENV)/vjepa-ros replay test/data/bags --gate config/replay_gate.yaml --json runs/replay.json --html runs/replay.html

lint: setup  ## check style and types
	$(VENV)/ruff check .
	$(VENV)/ruff format --check .
	$(VENV)/mypy

docs: setup  ## the pages of docs/ and of the docstrings as a site in build/site; a dead link is an error
	NO_MKDOCS_2_WARNING=1 $(VENV)/mkdocs build

colcon: setup  ## build the four packages as a ROS workspace does
	PATH=$(CURDIR)/$(VENV):$$PATH $(COLCON_ENVIRONMENT) $(VENV)/python -m colcon build \
	  --base-paths . vjepa_msgs gate sim $(COLCON_CMAKE_ARGS)

weights: setup  ## train the tiny model from nothing: collect, train, report (an hour of two free cores, or two)
	$(VENV)/vjepa-ros train weights --preset cpu --out runs/weights

clean:  ## remove all that these targets made
	rm -rf .venv build install log
