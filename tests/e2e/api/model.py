"""CodeBuild's operations as botocore describes them, each asked for with every single thing wrong."""

import botocore.loaders
from botocore.model import ServiceModel

WRONG = {"string": {}, "integer": "1", "long": "1", "double": "1", "boolean": "true", "list": "a", "structure": "a"}


def valid(shape):
    """The least that is right."""
    kind = shape.type_name
    if kind == "string":
        return shape.enum[0] if shape.enum else "a" * max(shape.metadata.get("min", 1), 1)
    if kind in ("integer", "long", "double"):
        return shape.metadata.get("min", 1)
    if kind == "list":
        return [valid(shape.member)] * max(shape.metadata.get("min", 0), 1)
    if kind == "structure":
        return {name: valid(shape.members[name]) for name in shape.required_members}
    return True


def wrongs(shape, path):
    """Wrong values of this shape, each with what is to be said of it."""
    failed = f"at '{path}' failed to satisfy constraint: Member must "
    kind, limits = shape.type_name, shape.metadata
    if path:
        yield WRONG[kind], f"at '{path}' can not be converted to "
    if kind == "string" and shape.enum:
        yield "NOPE", f"{failed}satisfy enum value set: [{', '.join(shape.enum)}]"
    elif kind == "string" and "pattern" in limits:
        yield "!" * max(limits["min"], 1), f"{failed}satisfy regular expression pattern: {limits['pattern']}"
    elif kind in ("string", "list"):
        one = ["a"] if kind == "string" else [valid(shape.member)]
        of = (lambda count: "".join(one * count)) if kind == "string" else (lambda count: one * count)
        if limits.get("min", 0) > 0:
            yield of(limits["min"] - 1), f"{failed}have length greater than or equal to {limits['min']}"
        if "max" in limits:
            yield of(limits["max"] + 1), f"{failed}have length less than or equal to {limits['max']}"
    elif kind in ("integer", "long"):
        if "min" in limits:
            yield limits["min"] - 1, f"{failed}have value greater than or equal to {limits['min']}"
        if "max" in limits:
            yield limits["max"] + 1, f"{failed}have value less than or equal to {limits['max']}"
    if kind == "list":
        rest = [valid(shape.member)] * (limits.get("min", 0) - 1)
        for value, said in wrongs(shape.member, f"{path}.1.member"):
            yield [value, *rest], said
    if kind == "structure":
        least = valid(shape)
        for name in shape.required_members:
            at = f"{path}.{name}" if path else name
            rest = {other: value for other, value in least.items() if other != name}
            yield rest, f"Value 'null' at '{at}' failed to satisfy constraint: Member must not be null"
        for name, member in shape.members.items():
            for value, said in wrongs(member, f"{path}.{name}" if path else name):
                yield {**least, name: value}, said


def differences(send, absent):
    """How often this was tried, and what is judged otherwise than the description has it."""
    model = ServiceModel(botocore.loaders.Loader().load_service_model("codebuild", "service-2"))
    tried, found = 0, []
    for operation in set(model.operation_names) - set(absent):
        shape = model.operation_model(operation).input_shape
        for value, said in wrongs(shape, ""):
            tried += 1
            answer = send(operation, value)
            if said not in answer.get("message", ""):
                found.append([operation, value, said, answer])
    return {"tried": tried, "found": found}


def strays(shape, value, path=""):
    """What of an answer is otherwise than its description has it."""
    kind = shape.type_name
    fits = {
        "string": str, "integer": int, "long": int, "double": (int, float), "timestamp": (int, float), "boolean": bool,
        "list": list, "structure": dict, "map": dict,
    }[kind]
    if not isinstance(value, fits) or (isinstance(value, bool) and kind != "boolean"):
        yield f"{path} is {value!r}, no {kind}"
    elif kind == "string" and getattr(shape, "enum", None) and value not in shape.enum:
        yield f"{path} is {value!r}, none of {shape.enum}"
    elif kind == "list":
        for one in value:
            yield from strays(shape.member, one, f"{path}[]")
    elif kind == "map":
        for one in value.values():
            yield from strays(shape.value, one, f"{path}{{}}")
    elif kind == "structure":
        for name in shape.required_members:
            if name not in value:
                yield f"{path}.{name} is not there"
        for name, one in value.items():
            if name not in shape.members:
                yield f"{path}.{name} is unknown"
            else:
                yield from strays(shape.members[name], one, f"{path}.{name}")
