"""The services of ros2_control's controller manager, and the action that clears an arm's errors."""

from controller_manager_msgs.msg import ControllerState, HardwareComponentState
from controller_manager_msgs.srv import (
    ListControllers,
    ListHardwareComponents,
    SetHardwareComponentState,
    SwitchController,
)
from franka_msgs.action import ErrorRecovery
from lifecycle_msgs.msg import State
from rclpy.action import ActionServer
from rclpy.action.server import ServerGoalHandle
from rclpy.node import Node

from vjepa_sim.fr3.arm import HARDWARE, TYPES, Fr3Arm
from vjepa_sim.fr3.description import ARM_JOINTS

_STATES = {State.PRIMARY_STATE_ACTIVE: "active", State.PRIMARY_STATE_UNCONFIGURED: "unconfigured"}
_RATE = 1000  # Hz


class Manager:
    def __init__(self, node: Node, arm: Fr3Arm) -> None:
        self._node, self._arm = node, arm
        for kind, name, callback in (
            (ListControllers, "list_controllers", self._list_controllers),
            (SwitchController, "switch_controller", self._switch),
            (ListHardwareComponents, "list_hardware_components", self._list_hardware),
            (SetHardwareComponentState, "set_hardware_component_state", self._set_hardware),
        ):
            node.create_service(kind, f"controller_manager/{name}", callback)
        self._recovery = ActionServer(
            node, ErrorRecovery, "action_server/error_recovery", execute_callback=self._recover
        )

    def destroy(self) -> None:
        self._recovery.destroy()

    def _list_controllers(
        self, _: ListControllers.Request, response: ListControllers.Response
    ) -> ListControllers.Response:
        efforts = [f"{joint}/effort" for joint in ARM_JOINTS]
        for name, kind in TYPES.items():
            active = name in self._arm.active
            commands = efforts if kind.endswith("CartesianController") else []
            response.controller.append(
                ControllerState(
                    name=name,
                    type=kind,
                    state="active" if active else "inactive",
                    update_rate=_RATE,
                    required_command_interfaces=commands,
                    claimed_interfaces=commands if active else [],
                )
            )
        return response

    def _switch(
        self, request: SwitchController.Request, response: SwitchController.Response
    ) -> SwitchController.Response:
        strict = request.strictness != SwitchController.Request.BEST_EFFORT
        on, off = request.activate_controllers, request.deactivate_controllers
        response.message = self._arm.switch(list(on), list(off), strict=strict)
        response.ok = not response.message
        return response

    def _list_hardware(
        self, _: ListHardwareComponents.Request, response: ListHardwareComponents.Response
    ) -> ListHardwareComponents.Response:
        hardware = HardwareComponentState(
            name=HARDWARE,
            type="system",
            rw_rate=_RATE,
            plugin_name="franka_hardware/FrankaHardwareInterface",
            state=self._hardware_state(),
        )
        response.component.append(hardware)
        return response

    def _set_hardware(
        self,
        request: SetHardwareComponentState.Request,
        response: SetHardwareComponentState.Response,
    ) -> SetHardwareComponentState.Response:
        target = request.target_state.label or _STATES.get(request.target_state.id, "")
        known = request.name == HARDWARE and target in _STATES.values()
        response.ok = known and self._arm.set_hardware(target == "active")
        response.state = self._hardware_state()
        return response

    def _hardware_state(self) -> State:
        active = self._arm.hardware
        number = State.PRIMARY_STATE_ACTIVE if active else State.PRIMARY_STATE_UNCONFIGURED
        return State(id=number, label=_STATES[number])

    def _recover(self, handle: ServerGoalHandle) -> ErrorRecovery.Result:
        refusal = self._arm.recover()
        if refusal:
            self._node.get_logger().error(f"error recovery: {refusal}")
            handle.abort()
        else:
            handle.succeed()
        return ErrorRecovery.Result()
