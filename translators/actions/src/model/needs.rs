//! Whether the jobs that are needed exist, and none needs itself.

use std::collections::HashMap;

use runspan_buildspec::{Code, Diagnostic, nearest, quoted};

use super::{Reader, Workflow};

pub(super) fn check(workflow: &Workflow<'_>, reader: &mut Reader<'_>) {
    let index: HashMap<&str, usize> =
        workflow.jobs.iter().enumerate().map(|(index, job)| (job.id.as_str(), index)).collect();
    for job in &workflow.jobs {
        for (needed, place) in &job.needs {
            if !index.contains_key(needed.as_str()) {
                let message = format!("job {} needs {}, which is not there", quoted(&job.id), quoted(needed));
                let diagnostic = Diagnostic::new(Code::UnknownReference, message).at(*place);
                reader.say(match nearest(needed, index.keys().copied()) {
                    Some(known) => diagnostic.help(format!("did you mean `{known}`?")),
                    None => diagnostic,
                });
            }
        }
    }
    // Jobs whose needs are all settled settle in turn; what never does is in a circle or behind one.
    let mut settled = vec![false; workflow.jobs.len()];
    loop {
        let ready: Vec<usize> = (0..settled.len())
            .filter(|job| !settled[*job])
            .filter(|job| {
                let needs = &workflow.jobs[*job].needs;
                needs.iter().all(|(id, _)| index.get(id.as_str()).is_none_or(|other| settled[*other]))
            })
            .collect();
        if ready.is_empty() {
            break;
        }
        ready.into_iter().for_each(|job| settled[job] = true);
    }
    let Some(mut at) = settled.iter().position(|settled| !settled) else { return };
    // Going back along needs that never settle ends in the circle.
    let mut way: Vec<usize> = Vec::new();
    while !way.contains(&at) {
        way.push(at);
        let next = workflow.jobs[at]
            .needs
            .iter()
            .filter_map(|(id, _)| index.get(id.as_str()))
            .find(|other| !settled[**other]);
        let Some(next) = next else { return };
        at = *next;
    }
    way.drain(..way.iter().position(|job| *job == at).unwrap_or(0));
    way.push(at);
    let names: Vec<_> = way.iter().map(|job| quoted(&workflow.jobs[*job].id)).collect();
    let message = format!("jobs need each other in a circle: {}", names.join(" needs "));
    let place = workflow.jobs[at].field.place;
    reader.say(Diagnostic::new(Code::DependencyCycle, message).at(place).help("remove one of these `needs`"));
}
